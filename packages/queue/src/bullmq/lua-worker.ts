/**
 * The Lua scripts of the worker side. Every change of a job's state is one such call, so that it happens entirely or
 * not at all. KEYS[1] is the prefix of a class; the parts the scripts share, and the keys and fields they use,
 * are in lua-parts.ts. Instants are `us` or `ms` since the epoch, on the server's clock.
 */
import { estimating } from './lua-estimate.ts';
import { bullTake, ending, evenWhenFull, prelude, returning, waitingJobs } from './lua-parts.ts';

/**
 * ARGV fence, worker, rowsMax, rowsMin, leaseMs, takeSuspect, versionMax, resultBytesMax, channel, agingMs,
 *      then for each slot of the worker the ms until it is free
 *
 * A claim whose reply was lost with the connection is sent again with the same fence, and answers the
 * same jobs again: otherwise they would stay claimed by a worker that does not know them.
 *
 * ->   {nowUs, waiting, rowsWaiting, next in turn enqueued us, suspectAhead, us between rows | -1,
 *       last arrival us, others free in us | -1, change | 0, workers, ids of those that ran out of time, for each `<status>/<flow>`,
 *       {id, data, attempt, suspect, seq, enqueuedUs, deadlineMs, overtaken, inline|false, ready us, latest start us, due us},
 *       ...}
 */
export const claimScript = `${prelude}${evenWhenFull}${estimating}${bullTake}${ending}
local fence, worker, rowsMax, rowsMin = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local resultBytesMax, agingUs = tonumber(ARGV[8]), tonumber(ARGV[10]) * 1000
local packed = cmsgpack.pack({token = fence, lockDuration = tonumber(ARGV[5]), name = worker})
local headLength = 12
readStat({'vt', 'taken', 'every', 'last', 'rows', 'bytes', 'ev'})
local late, lateEnds, firstTaken = {}, {}, {}
local out, rows, suspectAhead = {nowUs, 0, 0, 0, 0, -1, 0, -1, 0, 0, late, lateEnds}, 0, 0

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
  if #out > headLength or #late > 0 then out[9] = changeNumber() end
  out[6], out[7] = stat('every') > 0 and stat('every') or -1, stat('last')
  saveWaiting()
  for flow, rows in pairs(firstTaken) do C('HINCRBY', P..'x:taken', flow, rows) end
  local oldest = C('ZRANGE', P..'prioritized', 0, 0)[1]
  out[2] = C('ZCARD', P..'prioritized')
  out[4] = oldest and tonumber(C('HGET', P..oldest, 'xe') or 0) or 0
  out[5] = suspectAhead
  out[10] = C('HLEN', P..'x:serve')
  return out
end

local function entry(id, h, suspect, overtaken)
  return {id, h.data, tonumber(h.ats), suspect and 1 or 0, tonumber(h.xs), tonumber(h.xe), tonumber(h.xd),
    overtaken, h.xi or false, tonumber(h.xp or 0), tonumber(h.xu or 0), tonumber(h.xy or 0)}
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
  local f = C('HMGET', P..id, 'xr', 'stc', 'xv', 'xs', 'xq', 'xd', 'ats', 'xz', 'xl')
  local isLate = f[4] and nowMs >= tonumber(tonumber(f[7] or 0) > 0 and f[6] or f[5])
  local status = isLate and #late < 100 and endIfLate(id, resultBytesMax)
  if not f[4] then
    C('ZREM', P..'prioritized', id)            -- its hash is gone: nothing to run, nobody to tell
  elseif #late == 100 and not status then
    break                                      -- enough for one call; the next one goes on from here
  elseif status then
    late[#late + 1] = id
    lateEnds[#lateEnds + 1] = status .. '/' .. f[9]
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
    elseif not h.xb then bump('vt', math.max(0, tonumber(h.xz) + 1 - stat('vt'))) end
    if not h.xb then
      -- Should it come back, then before all that was never taken, and in the order of first takes.
      bump('taken', 1)
      firstTaken[flow] = (firstTaken[flow] or 0) + itemRows
      bump('c:'..flow, math.max(0, tonumber(h.xh or 0) - stat('c:'..flow)))
      C('HSET', P..id, 'xz', stat('taken') - 4503599627370496)
    end
    C('ZADD', P..'x:dl', h.xd, id)
    C('HSET', P..id, 'xf', fence, 'xk', overtaken)
    C('HSETNX', P..id, 'xt', nowUs)
    rows = rows + itemRows
    out[#out + 1] = entry(id, h, suspect, overtaken)
    if h.yg then tell(h.yg, id) end
    if suspect or rows >= rowsMax then break end
  end
end
return answer(rows)
`;

/**
 * ARGV channel, resultBytesMax, n, then for each job: id, fence, '1' when it succeeded, frame
 * A call whose reply was lost with the connection is made again: what it has stored is told from what others have by
 * its frame.
 *
 * ->   {nowUs, change | 0, code, ...}: 0 settled, 1 settled by an earlier try of the same call, anything else lost
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
  elseif string.sub(C('GET', P..'x:res:'..id) or '', 17) == ARGV[at + 3] then
    code = 1
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
if ARGV[1] ~= '1' and #ids > 0 then C('HINCRBY', P..'x:stat', 'left', #ids) end
local change = #ids > 0 and changeNumber() or 0
saveWaiting()
return {nowUs, change, ids}
`;

/**
 * ARGV periodMs, leaseMs, resultBytesMax, channel
 * ->   {returned ids, failed ids, expired ids, nowUs, change | 0, `<status>/<flow>` of each of the failed, of the expired}; empty
 *      when another process swept within the period
 *
 * A lock that is missing once proves nothing: after an outage its owner needs a moment to renew it. The
 * job is returned when the lock is still missing a renewal period later, and never before the server
 * itself has been up for a lease.
 */
export const sweepScript = `${prelude}${evenWhenFull}${ending}${returning}
local returned, failed, expired, failedEnds, expiredEnds = {}, {}, {}, {}, {}
if not C('SET', P..'x:sweeping', 1, 'NX', 'PX', ARGV[1]) then
  return {returned, failed, expired, nowUs, 0, failedEnds, expiredEnds}
end
local leaseMs, resultBytesMax = tonumber(ARGV[2]), tonumber(ARGV[3])
for _, id in ipairs(C('ZRANGEBYSCORE', P..'x:dl', '-inf', nowMs, 'LIMIT', 0, 200)) do
  local flow = C('HGET', P..id, 'xl')
  local status = flow and endIfLate(id, resultBytesMax)
  if not flow then C('ZREM', P..'x:dl', id)
  elseif status then
    expired[#expired + 1] = id
    expiredEnds[#expiredEnds + 1] = status .. '/' .. flow
  end
end
local up
for _, id in ipairs(C('LRANGE', P..'active', 0, -1)) do
  if C('EXISTS', P..id..':lock') == 0 then
    local f = C('HMGET', P..id, 'xs', 'xo', 'ats', 'xa', 'xl')
    if not f[1] then C('LREM', P..'active', -1, id)
    elseif not f[2] then C('HSET', P..id, 'xo', nowMs)
    elseif nowMs - tonumber(f[2]) >= leaseMs / 3 then
      if not up then up = tonumber(string.match(C('INFO', 'server'), 'uptime_in_seconds:(%d+)')) * 1000 end
      if up > leaseMs then
        C('XADD', P..'events', '*', 'event', 'stalled', 'jobId', id)
        if tonumber(f[3]) >= tonumber(f[4]) then
          endJob(id, 'failed', 'worker_lost', 'Every worker that ran this job was lost (' .. f[3] .. ' starts).', resultBytesMax)
          failed[#failed + 1] = id
          failedEnds[#failedEnds + 1] = 'failed/' .. f[5]
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
    C('ZREMRANGEBYSCORE', P..'x:skip:'..flow, '-inf', oldest == math.huge and '+inf' or oldest)
    if C('EXISTS', P..'x:skip:'..flow) == 0 then C('SREM', P..'x:skips', flow) end
  end
end
local offers = C('HGETALL', P..'x:serve')
for i = 1, #offers, 2 do
  if cmsgpack.unpack(offers[i + 1]).till <= nowMs then C('HDEL', P..'x:serve', offers[i]) end
end
flush(ARGV[4])
return {returned, failed, expired, nowUs, change, failedEnds, expiredEnds}
`;

/**
 * ARGV worker, leaseMs, then (nothing when it serves no longer) rows of a batch, tail factor, ms of the worker
 * that a row takes, and for each point of the curve rows and ms -> nothing
 *
 * The work of a row is kept when the last worker goes. Of several it is that of their mean speed: together
 * they do as much as so many of the same speed would.
 */
export const offerScript = `${prelude}${evenWhenFull}
if not ARGV[3] then
  C('HDEL', P..'x:serve', ARGV[1])
  return 0
end
local text = C('HGET', P..'x:serve', ARGV[1])
local p = text and cmsgpack.unpack(text) or {free = {nowUs / 1000}}
p.till, p.rows, p.tail, p.points = nowMs + tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), {}
p.work = tonumber(ARGV[5])
for i = 6, #ARGV do p.points[i - 5] = tonumber(ARGV[i]) end
C('HSET', P..'x:serve', ARGV[1], cmsgpack.pack(p))
local speed, workers, offers = 0, 0, C('HVALS', P..'x:serve')
for _, offer in ipairs(offers) do
  local q = cmsgpack.unpack(offer)
  -- A worker of another version may not tell.
  if q.work and q.till > nowMs then speed, workers = speed + 1 / q.work, workers + 1 end
end
C('HSET', P..'x:stat', 'work', workers / speed)
return 0
`;
