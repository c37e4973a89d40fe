/**
 * The Lua scripts: every change of a job's state is one of these calls, so that it happens entirely or
 * not at all. KEYS[1] is the prefix of a class; the parts they share, and the keys and fields they use,
 * are in lua-parts.ts. Instants are `us` or `ms` since the epoch, on the server's clock.
 */
import {
  bullAdd,
  bullTake,
  ending,
  estimating,
  evenWhenFull,
  prelude,
  returning,
  rowTag,
  waitingJobs,
} from './lua-parts.ts';

/**
 * Whether a job would be taken, and what is known of its wait. Its first arguments are those of both
 * scripts that ask: ARGV tenant, priority, rows, payload bytes, weight, depthMax, bytesMax,
 * tenantDepthMax ('' for none), usedMs ('' without a budget), budgetMs, '1' when a worker is needed.
 */
const deciding = `
local tenant, rows, payloadBytes, weight = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local flow = tenant .. '/' .. ARGV[2]
local waiting = C('ZCARD', P..'prioritized')
local tag = math.max(stat('vt'), stat('f:'..flow))
local function aheadOf(tag)
  if waiting == 0 then return 0 end
  return C('ZCOUNT', P..'prioritized', '-inf', int(tag))
end
local ahead = aheadOf(tag)

-- A refusal as the reply that says so, or nil and what is expected, ms.
local function decide()
  if waiting >= tonumber(ARGV[6]) then return {0, 'depth'} end
  if stat('bytes') + payloadBytes > tonumber(ARGV[7]) then return {0, 'bytes'} end
  if ARGV[8] ~= '' and stat('q:'..tenant) >= tonumber(ARGV[8]) then return {0, 'tenant'} end
  local servers = liveServers()
  local ready, bound = estimate(rowsOfFirst(ahead, waiting), rows, servers)
  if ARGV[9] == '' then return nil, ready, bound end
  if not ready then
    if ARGV[11] == '1' then return {0, 'worker'} end
    return nil
  end
  local leftMs = tonumber(ARGV[10]) - tonumber(ARGV[9])
  if ready <= leftMs then return nil, ready, bound end
  if ARGV[8] ~= '' and estimate(rowsOfFirst(aheadOf(stat('vt')), waiting), rows, servers) <= leftMs then
    return {0, 'share', us(ready)}
  end
  return {0, 'late', us(ready)}
end
`;

/** ARGV as above -> {1, ready us | -1, latest start us} would be added · {0, why, ready us} */
export const quoteScript = `${prelude}${estimating}${deciding}
local refusal, ready, bound = decide()
if refusal then return refusal end
return {1, ready and us(ready) or -1, bound and us(bound) or -1}
`;

/**
 * ARGV as above, then id, data, inline payload, has own payload key, deadlineMs, queueTimeoutMs, gateway,
 *      retentionMs, attemptsMax, version
 * ->   {1, seq, nowUs, ahead, deadlineMs, flows that wait, ready us | -1, latest start us | -1, change} added ·
 *      {2, seq, enqueuedUs, ahead, deadlineMs, 0, -1, -1, 0} was there ·
 *      {0, 'depth'|'bytes'|'tenant'|'worker'|'share'|'late', ready us} refused, nothing changed
 */
export const enqueueScript = `${prelude}${estimating}${waitingJobs}${bullAdd}${deciding}
local id, data = ARGV[12], ARGV[13]
local jobKey = P..id
local there = C('HMGET', jobKey, 'xs', 'xe', 'xd')
if there[1] then
  local rank = C('ZRANK', P..'prioritized', id) or 0
  return {2, tonumber(there[1]), tonumber(there[2]), rank, tonumber(there[3]), 0, -1, -1, 0}
end
if C('EXISTS', P..'x:res:'..id) == 1 then return {2, 0, nowUs, 0, nowMs, 0, -1, -1, 0} end
local refusal, ready, bound = decide()
if refusal then return refusal end

bump('seq', 1)
bump('n:'..flow, 1)
local seq = stat('seq')
local nextTag = tag + math.max(1, math.floor(rows * ${rowTag} / weight))
bump('f:'..flow, nextTag - stat('f:'..flow))
if stat('last') > 0 then
  local apartUs = math.min(nowUs - stat('last'), 10000000) / rows
  local every = stat('every')
  bump('every', every == 0 and math.ceil(apartUs) or math.floor((apartUs - every) / 32 + 0.5))
end
bump('last', nowUs - stat('last'))

local deadline, queueDeadline = nowMs + tonumber(ARGV[16]), nowMs + tonumber(ARGV[17])
bullAdd(id, data, tag)
C('HSET', jobKey, 'xs', int(seq), 'xl', flow, 'xc', int(stat('n:'..flow)), 'xz', int(tag), 'xe', int(nowUs),
  'xd', deadline, 'xq', queueDeadline, 'xr', rows, 'xv', ARGV[21], 'xn', payloadBytes, 'xg', ARGV[18],
  'xm', ARGV[19], 'xa', ARGV[20])
if ARGV[15] == '0' then C('HSET', jobKey, 'xi', ARGV[14]) end
if ready then C('HSET', jobKey, 'xp', int(nowUs + us(ready)), 'xu', int(nowUs + us(bound))) end
C('ZADD', P..'x:q:'..flow, int(seq), id)
C('ZADD', P..'x:dl', queueDeadline, id)
countWaiting(flow, 1, rows, payloadBytes)
local change = changeNumber()
local flows = refreshHeads()
saveStat()
return {1, seq, nowUs, ahead, deadline, flows, ready and us(ready) or -1, bound and us(bound) or -1, change}
`;

/**
 * ARGV fence, worker, rowsMax, rowsMin, leaseMs, takeSuspect, versionMax, resultBytesMax, channel, agingMs,
 *      then for each slot of the worker the ms until it is free
 *
 * A claim whose reply was lost with the connection is sent again with the same fence, and answers the
 * same jobs again: otherwise they would stay claimed by a worker that does not know them.
 *
 * ->   {nowUs, waiting, rowsWaiting, next in turn enqueued us, suspectAhead, us between rows | -1,
 *       last arrival us, others free in us | -1, change | 0,
 *       {id, data, attempt, suspect, seq, enqueuedUs, deadlineMs, overtaken, inline|false, ready us, latest start us},
 *       ...}
 */
export const claimScript = `${prelude}${evenWhenFull}${estimating}${bullTake}${ending}
local fence, worker, rowsMax, rowsMin = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local resultBytesMax, agingUs = tonumber(ARGV[8]), tonumber(ARGV[10]) * 1000
local packed = cmsgpack.pack({token = fence, lockDuration = tonumber(ARGV[5]), name = worker})
local headLength = 9
local out, rows, suspectAhead, late = {nowUs, 0, 0, 0, 0, -1, 0, -1, 0}, 0, 0, 0

-- What this worker's slots have before them, with the rows it takes now.
local function keepServing(rowsTaken)
  local text = C('HGET', P..'x:serve', worker)
  if not text then return end
  local p, k = cmsgpack.unpack(text), 1
  p.till, p.free = nowMs + tonumber(ARGV[5]), {}
  for i = 11, #ARGV do p.free[#p.free + 1] = nowUs / 1000 + tonumber(ARGV[i]) end
  if #p.free == 0 then p.free[1] = nowUs / 1000 end
  for i = 2, #p.free do if p.free[i] < p.free[k] then k = i end end
  if rowsTaken > 0 then p.free[k] = p.free[k] + serviceMs(p, rowsTaken) end
  C('HSET', P..'x:serve', worker, cmsgpack.pack(p))
end

local function answer(rowsTaken)
  flush(ARGV[9])
  keepServing(rowsTaken)
  if #out > headLength or late > 0 then out[9] = changeNumber() end
  out[6], out[7] = stat('every') > 0 and stat('every') or -1, stat('last')
  saveWaiting()
  local oldest = C('ZRANGE', P..'prioritized', 0, 0)[1]
  out[2] = C('ZCARD', P..'prioritized')
  out[4] = oldest and tonumber(C('HGET', P..oldest, 'xe') or 0) or 0
  out[5] = suspectAhead
  return out
end

local function entry(id, h, suspect, overtaken)
  return {id, h.data, tonumber(h.ats), suspect and 1 or 0, tonumber(h.xs), tonumber(h.xe), tonumber(h.xd),
    overtaken, h.xi or false, tonumber(h.xp or 0), tonumber(h.xu or 0)}
end
local function fields(flat)
  local h = {}
  for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
  return h
end

local lastFence = P..'x:cl:'..worker
if C('GET', lastFence) == fence then
  local active = C('LRANGE', P..'active', 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    if C('HGET', P..id, 'xf') == fence then
      C('SET', P..id..':lock', fence, 'PX', ARGV[5])
      C('HDEL', P..id, 'xo')
      local h = fields(C('HGETALL', P..id))
      rows = rows + tonumber(h.xr)
      out[#out + 1] = entry(id, h, tonumber(h.stc or 0) > 0, tonumber(h.xk or 0))
    end
  end
  return answer(rows)
end
C('SET', lastFence, fence, 'PX', 600000)

if rowsMin > 1 and stat('rows') < rowsMin then
  -- A job that came back does not wait for company; it would be the next in turn.
  local next = C('ZRANGE', P..'prioritized', 0, 0)[1]
  if next and not C('HGET', P..next, 'xb') then
    out[3] = stat('rows')
    for _, server in ipairs(liveServers()) do
      if server.worker ~= worker and (out[8] < 0 or us(server.free) < out[8]) then out[8] = us(server.free) end
    end
    return answer(0)
  end
end

local flows = C('ZCARD', P..'x:heads')
local agedRows, agedRowsMax = 0, math.max(1, math.floor(rowsMax / 4))
-- The next in turn; where several flows have work, an old job may come first. true: it does.
local function inTurn()
  local first = C('ZRANGE', P..'prioritized', 0, 0)[1]
  if not first or flows < 2 then return first, false end
  flows = refreshHeads()
  if flows < 2 or agedRows >= agedRowsMax or C('HGET', P..first, 'xb') then return first, false end
  local elder = C('ZRANGE', P..'x:q:'..C('ZRANGE', P..'x:heads', 0, 0)[1], 0, 0)[1]
  if elder == first or nowUs - tonumber(C('HGET', P..elder, 'xe')) < agingUs then return first, false end
  return elder, true
end

while true do
  local id, aged = inTurn()
  if not id then break end
  local f = C('HMGET', P..id, 'xr', 'stc', 'xv', 'xs', 'xq', 'xd', 'ats', 'xz')
  if not f[4] then
    C('ZREM', P..'prioritized', id)            -- its hash is gone: nothing to run, nobody to tell
  elseif late == 100 then
    break                                      -- enough for one call; the next one goes on from here
  elseif nowMs >= tonumber(tonumber(f[7] or 0) > 0 and f[6] or f[5]) and endIfLate(id, resultBytesMax) then
    late = late + 1
  else
    if tonumber(f[3]) > tonumber(ARGV[7]) then break end
    local suspect, itemRows = tonumber(f[2] or 0) > 0, tonumber(f[1])
    if suspect and ARGV[6] ~= '1' then suspectAhead = 1; break end
    if #out > headLength and (suspect or rows + itemRows > rowsMax) then break end
    -- BullMQ takes the lowest score.
    if aged then C('ZADD', P..'prioritized', '-inf', id) end
    local taken = bullTakeText(bullTakeKeys, {P, nowMs, packed})
    if type(taken[1]) ~= 'table' then          -- paused, rate limited or at its global concurrency
      if aged then C('ZADD', P..'prioritized', f[8], id) end
      break
    end
    local h = fields(taken[1])
    local flow = h.xl
    local rank = C('ZRANK', P..'x:q:'..flow, id) or 0
    local overtaken = stat('d:'..flow) - ((tonumber(h.xc) - 1) - rank)
    if overtaken > 0 then overtaken = overtaken - C('ZCOUNT', P..'x:skip:'..flow, '(' .. h.xs, '+inf') end
    leaveWaiting(id, flow, itemRows, tonumber(h.xn))
    if aged then agedRows = agedRows + itemRows
    else bump('vt', math.max(0, tonumber(h.xz) + 1 - stat('vt'))) end
    C('ZADD', P..'x:dl', h.xd, id)
    C('HSET', P..id, 'xf', fence, 'xk', overtaken)
    C('HSETNX', P..id, 'xt', int(nowUs))
    rows = rows + itemRows
    out[#out + 1] = entry(id, h, suspect, overtaken)
    if suspect or rows >= rowsMax then break end
  end
end
return answer(rows)
`;

/**
 * ARGV channel, resultBytesMax, n, then for each job: id, fence, '1' when it succeeded, frame
 * ->   {nowUs, change | 0, code, ...}: 0 settled, anything else lost
 */
export const settleScript = `${prelude}${evenWhenFull}${ending}
local out = {nowUs, 0}
for i = 1, tonumber(ARGV[3]) do
  local at = 4 * i
  local id, fence = ARGV[at], ARGV[at + 1]
  local code = -1
  if C('HGET', P..id, 'xf') == fence then
    -- The lock may have run out while Redis was away; the fence says that the job is still ours.
    C('SET', P..id..':lock', fence, 'PX', 1000)
    code = finishActive(id, fence, ARGV[at + 2] == '1', ARGV[at + 3], tonumber(ARGV[2]))
  end
  out[#out + 1] = code
  if code == 0 and out[2] == 0 then out[2] = changeNumber() end
end
saveStat()
flush(ARGV[1])
return out
`;

/** ARGV leaseMs, then id, fence pairs -> indexes (from 0) of the jobs that are no longer ours */
export const renewScript = `${prelude}${evenWhenFull}
local lost = {}
for i = 2, #ARGV, 2 do
  local id, fence = ARGV[i], ARGV[i + 1]
  if C('HGET', P..id, 'xf') == fence then
    C('SET', P..id..':lock', fence, 'PX', ARGV[1])
    C('HDEL', P..id, 'xo')
  else
    lost[#lost + 1] = (i - 2) / 2
  end
end
return lost
`;

/**
 * ARGV asSuspects, then id, fence pairs. An unfinished claim that was no part of a failed run does not
 * count as a start. -> {nowUs, change | 0, ids that were given back}
 */
export const giveBackScript = `${prelude}${evenWhenFull}${waitingJobs}${returning}
local ids = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  if C('HGET', P..id, 'xf') == ARGV[i + 1] then
    if ARGV[1] == '1' then C('HINCRBY', P..id, 'stc', 1)
    elseif C('HINCRBY', P..id, 'ats', -1) == 0 then C('HDEL', P..id, 'xt') end
    ids[#ids + 1] = id
  end
end
returnJobs(ids)
local change = #ids > 0 and changeNumber() or 0
saveWaiting()
return {nowUs, change, ids}
`;

/**
 * ARGV periodMs, leaseMs, resultBytesMax, channel
 * ->   {returned ids, failed ids, expired ids, nowUs, change | 0}; empty when another process swept within
 *      the period
 *
 * A lock that is missing once proves nothing: after an outage its owner needs a moment to renew it. The
 * job is returned when the lock is still missing a renewal period later, and never before the server
 * itself has been up for a lease.
 */
export const sweepScript = `${prelude}${evenWhenFull}${ending}${returning}
local returned, failed, expired = {}, {}, {}
if not C('SET', P..'x:sweeping', 1, 'NX', 'PX', ARGV[1]) then
  return {returned, failed, expired, nowUs, 0}
end
local leaseMs, resultBytesMax = tonumber(ARGV[2]), tonumber(ARGV[3])
for _, id in ipairs(C('ZRANGEBYSCORE', P..'x:dl', '-inf', nowMs, 'LIMIT', 0, 200)) do
  if C('EXISTS', P..id) == 0 then C('ZREM', P..'x:dl', id)
  elseif endIfLate(id, resultBytesMax) then expired[#expired + 1] = id end
end
local up
for _, id in ipairs(C('LRANGE', P..'active', 0, -1)) do
  if C('EXISTS', P..id..':lock') == 0 then
    local f = C('HMGET', P..id, 'xs', 'xo', 'ats', 'xa')
    if not f[1] then C('LREM', P..'active', -1, id)
    elseif not f[2] then C('HSET', P..id, 'xo', nowMs)
    elseif nowMs - tonumber(f[2]) >= leaseMs / 3 then
      if not up then up = tonumber(string.match(C('INFO', 'server'), 'uptime_in_seconds:(%d+)')) * 1000 end
      if up > leaseMs then
        C('XADD', P..'events', '*', 'event', 'stalled', 'jobId', id)
        if tonumber(f[3]) >= tonumber(f[4]) then
          endJob(id, 'failed', 'worker_lost', 'Every worker that ran this job was lost (' .. f[3] .. ' starts).', resultBytesMax)
          failed[#failed + 1] = id
        else
          C('HINCRBY', P..id, 'stc', 1)
          returned[#returned + 1] = id
        end
      end
    end
  end
end
returnJobs(returned)
local change = #returned + #failed + #expired > 0 and changeNumber() or 0
saveWaiting()
local freed = dropExpired(1000)
if freed > 0 then C('HINCRBY', P..'x:stat', 'resbytes', -freed) end
local skips = C('SMEMBERS', P..'x:skips')
if #skips > 0 then
  local oldest = tonumber(C('ZRANGE', P..'x:heads', 0, 0, 'WITHSCORES')[2]) or math.huge
  for _, id in ipairs(C('LRANGE', P..'active', 0, -1)) do
    oldest = math.min(oldest, tonumber(C('HGET', P..id, 'xs')) or math.huge)
  end
  for _, flow in ipairs(skips) do
    C('ZREMRANGEBYSCORE', P..'x:skip:'..flow, '-inf', oldest == math.huge and '+inf' or int(oldest))
    if C('EXISTS', P..'x:skip:'..flow) == 0 then C('SREM', P..'x:skips', flow) end
  end
end
local offers = C('HGETALL', P..'x:serve')
for i = 1, #offers, 2 do
  if cmsgpack.unpack(offers[i + 1]).till <= nowMs then C('HDEL', P..'x:serve', offers[i]) end
end
flush(ARGV[4])
return {returned, failed, expired, nowUs, change}
`;

/**
 * ARGV worker, leaseMs, then (nothing when it serves no longer) rows of a batch, tail factor, and for each
 * point of the curve rows and ms -> nothing
 */
export const offerScript = `${prelude}${evenWhenFull}
if not ARGV[3] then
  C('HDEL', P..'x:serve', ARGV[1])
  return 0
end
local text = C('HGET', P..'x:serve', ARGV[1])
local p = text and cmsgpack.unpack(text) or {free = {nowUs / 1000}}
p.till, p.rows, p.tail, p.points = nowMs + tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), {}
for i = 5, #ARGV do p.points[i - 4] = tonumber(ARGV[i]) end
C('HSET', P..'x:serve', ARGV[1], cmsgpack.pack(p))
return 0
`;

/**
 * ARGV id, gateway that wants to hear of the end ('' for none), resultBytesMax, channel
 * ->   {1, nowUs, change | 0, outcome} ended ·
 *      {2, nowUs, 0, data, attempt, enqueuedUs, startedUs, deadlineMs, rank|-1, flows that wait, expected end us | -1}
 *      live · {0, nowUs, 0}
 */
export const findScript = `${prelude}${evenWhenFull}${estimating}${ending}
local id, change = ARGV[1], 0
if C('EXISTS', P..id) == 1 and endIfLate(id, tonumber(ARGV[3])) then
  change = changeNumber()
  saveWaiting()
  flush(ARGV[4])
end
local body = C('GET', P..'x:res:'..id)
if body then return {1, nowUs, change, body} end
local f = C('HMGET', P..id, 'data', 'ats', 'xe', 'xt', 'xd', 'xw', 'xr')
if not f[1] then return {0, nowUs, 0} end
if ARGV[2] ~= '' and not string.find(f[6] or '', ',' .. ARGV[2], 1, true) then
  C('HSET', P..id, 'xw', (f[6] or '') .. ',' .. ARGV[2])
end
local rank, eta = C('ZRANK', P..'prioritized', id) or -1, -1
if rank >= 0 then
  local rowsAhead = rowsOfFirst(rank, C('ZCARD', P..'prioritized'))
  local ready = estimate(rowsAhead, tonumber(f[7]), liveServers())
  if ready then eta = nowUs + us(ready) end
end
return {2, nowUs, 0, f[1], tonumber(f[2] or 0), tonumber(f[3]), tonumber(f[4] or 0), tonumber(f[5]), rank,
  C('ZCARD', P..'x:heads'), eta}
`;

/** ARGV id, detail, resultBytesMax, channel -> {1 canceled · 2 had ended · 0 unknown, nowUs, change | 0} */
export const cancelScript = `${prelude}${evenWhenFull}${ending}
if C('EXISTS', P..'x:res:'..ARGV[1]) == 1 then return {2, nowUs, 0} end
if not endJob(ARGV[1], 'canceled', 'canceled_by_user', ARGV[2], tonumber(ARGV[3])) then return {0, nowUs, 0} end
local change = changeNumber()
saveWaiting()
flush(ARGV[4])
return {1, nowUs, change}
`;

/** ARGV id -> 1 erased · 2 still live · 0 unknown */
export const eraseScript = `${prelude}
local id = ARGV[1]
local bytes = C('STRLEN', P..'x:res:'..id)
if bytes == 0 then return C('EXISTS', P..id) == 1 and 2 or 0 end
C('UNLINK', P..'x:res:'..id)
if C('ZREM', P..'x:exp', id .. ':' .. int(bytes)) == 1 then C('HINCRBY', P..'x:stat', 'resbytes', -bytes) end
return 1
`;

/** -> {waiting, active, waiting bytes, outcome bytes, age of the oldest waiting job in us} */
export const statsScript = `${prelude}
local flow = C('ZRANGE', P..'x:heads', 0, 0)[1]
local oldest = flow and C('ZRANGE', P..'x:q:'..flow, 0, 0)[1]
local since = oldest and tonumber(C('HGET', P..oldest, 'xe') or nowUs) or nowUs
return {C('ZCARD', P..'prioritized'), C('LLEN', P..'active'), stat('bytes'), stat('resbytes'), nowUs - since}
`;
