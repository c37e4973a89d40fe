/**
 * The Lua scripts: every change of a job's state is one of these calls, so that it happens entirely or
 * not at all. KEYS[1] is the prefix of a class; the parts they share, and the keys and fields they use,
 * are in lua-parts.ts. Instants are `us` or `ms` since the epoch, on the server's clock.
 */
import { bullAdd, bullTake, ending, evenWhenFull, prelude, returning } from './lua-parts.ts';

/**
 * ARGV id, data, inline payload, has own payload key, payload bytes, rows, depthMax, bytesMax,
 *      deadlineMs, queueTimeoutMs, gateway, retentionMs, attemptsMax, version
 * ->   {1, seq, nowUs, ahead, deadlineMs} added · {2, seq, enqueuedUs, ahead, deadlineMs} was there ·
 *      {0, 'depth'|'bytes', value} refused, nothing changed
 */
export const enqueueScript = `${prelude}${bullAdd}
local id, data, payloadBytes = ARGV[1], ARGV[2], tonumber(ARGV[5])
local jobKey = P..id
local there = C('HMGET', jobKey, 'xs', 'xe', 'xd')
if there[1] then
  return {2, tonumber(there[1]), tonumber(there[2]), C('ZRANK', P..'x:order', id) or 0, tonumber(there[3])}
end
if C('EXISTS', P..'x:res:'..id) == 1 then return {2, 0, nowUs, 0, nowMs} end
local ahead = C('ZCARD', P..'x:order')
if ahead >= tonumber(ARGV[7]) then return {0, 'depth', ahead} end
local bytes = tonumber(C('HGET', P..'x:stat', 'bytes') or 0)
if bytes + payloadBytes > tonumber(ARGV[8]) then return {0, 'bytes', bytes} end
local seq = C('INCR', P..'x:seq')
local deadline, queueDeadline = nowMs + tonumber(ARGV[9]), nowMs + tonumber(ARGV[10])
bullAdd(id, data)
C('HSET', jobKey, 'xs', seq, 'xe', int(nowUs), 'xd', deadline, 'xq', queueDeadline, 'xr', ARGV[6],
  'xv', ARGV[14], 'xn', payloadBytes, 'xg', ARGV[11], 'xm', ARGV[12], 'xa', ARGV[13])
if ARGV[4] == '0' then C('HSET', jobKey, 'xi', ARGV[3]) end
C('ZADD', P..'x:order', seq, id)
C('ZADD', P..'x:dl', queueDeadline, id)
if payloadBytes > 0 then C('HINCRBY', P..'x:stat', 'bytes', payloadBytes) end
return {1, seq, nowUs, ahead, deadline}
`;

/**
 * ARGV fence, worker, rowsMax, rowsMin, leaseMs, takeSuspect, versionMax, resultBytesMax, channel
 *
 * A claim whose reply was lost with the connection is sent again with the same fence, and answers the
 * same jobs again: otherwise they would stay claimed by a worker that does not know them.
 *
 * ->   {nowUs, waiting, rowsWaiting, oldestUs, suspectAhead,
 *       {id, data, attempt, suspect, seq, enqueuedUs, deadlineMs, overtaken, inline|false}, ...}
 */
export const claimScript = `${prelude}${evenWhenFull}${bullTake}${ending}
local fence, rowsMax, rowsMin, resultBytesMax = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[8])
local packed = cmsgpack.pack({token = fence, lockDuration = tonumber(ARGV[5]), name = ARGV[2]})
local out, rows, suspectAhead, late = {nowUs, 0, 0, 0, 0}, 0, 0, 0

local function answer()
  flush(ARGV[9])
  local oldest = C('ZRANGE', P..'x:order', 0, 0)[1]
  out[2] = C('ZCARD', P..'x:order')
  out[4] = oldest and tonumber(C('HGET', P..oldest, 'xe') or 0) or 0
  out[5] = suspectAhead
  return out
end

local function entry(id, h, suspect, overtaken)
  return {id, h.data, tonumber(h.ats), suspect and 1 or 0, tonumber(h.xs), tonumber(h.xe), tonumber(h.xd),
    overtaken, h.xi or false}
end
local function fields(flat)
  local h = {}
  for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
  return h
end

local lastFence = P..'x:cl:'..ARGV[2]
if C('GET', lastFence) == fence then
  local active = C('LRANGE', P..'active', 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    if C('HGET', P..id, 'xf') == fence then
      C('SET', P..id..':lock', fence, 'PX', ARGV[5])
      C('HDEL', P..id, 'xo')
      local h = fields(C('HGETALL', P..id))
      out[#out + 1] = entry(id, h, tonumber(h.stc or 0) > 0, tonumber(h.xk or 0))
    end
  end
  return answer()
end
C('SET', lastFence, fence, 'PX', 600000)

if rowsMin > 1 then
  -- Count no further than needed to decide. Jobs that came back do not wait for company.
  local waiting, sum = C('LRANGE', P..'wait', -rowsMin, -1), 0
  local hasReturned = false
  for _, id in ipairs(waiting) do
    local f = C('HMGET', P..id, 'xr', 'xb')
    sum = sum + tonumber(f[1] or 0)
    if f[2] then hasReturned = true end
  end
  if sum < rowsMin and not hasReturned then out[3] = sum; return answer() end
end

while true do
  local id = C('LINDEX', P..'wait', -1)
  if not id then break end
  local f = C('HMGET', P..id, 'xr', 'stc', 'xv', 'xs', 'xq', 'xd', 'ats')
  if not f[4] then
    C('RPOP', P..'wait')                       -- its hash is gone: nothing to run, nobody to tell
  elseif late == 100 then
    break                                      -- enough for one call; the next one goes on from here
  elseif nowMs >= tonumber(tonumber(f[7] or 0) > 0 and f[6] or f[5]) and endIfLate(id, resultBytesMax) then
    late = late + 1
  else
    if tonumber(f[3]) > tonumber(ARGV[7]) then break end
    local suspect, itemRows = tonumber(f[2] or 0) > 0, tonumber(f[1])
    if suspect and ARGV[6] ~= '1' then suspectAhead = 1; break end
    if #out > 5 and (suspect or rows + itemRows > rowsMax) then break end
    local taken = bullTakeText(bullTakeKeys, {P, nowMs, packed})
    if type(taken[1]) ~= 'table' then break end -- paused, rate limited or at its global concurrency
    local h = fields(taken[1])
    local seq = tonumber(h.xs)
    local rank = C('ZRANK', P..'x:order', id) or 0
    local removed = tonumber(C('HGET', P..'x:stat', 'removed') or 0)
    leaveWaiting(id, tonumber(h.xn))
    C('ZADD', P..'x:dl', h.xd, id)
    local overtaken = removed - ((seq - 1) - rank)
    if overtaken > 0 then overtaken = overtaken - C('ZCOUNT', P..'x:skip', '(' .. seq, '+inf') end
    C('HSET', P..id, 'xf', fence, 'xk', overtaken)
    C('HSETNX', P..id, 'xt', int(nowUs))
    rows = rows + itemRows
    out[#out + 1] = entry(id, h, suspect, overtaken)
    if suspect or rows >= rowsMax then break end
  end
end
return answer()
`;

/**
 * ARGV channel, resultBytesMax, n, then for each job: id, fence, '1' when it succeeded, frame
 * ->   {nowUs, code, ...}: 0 settled, anything else lost
 */
export const settleScript = `${prelude}${evenWhenFull}${ending}
local out = {nowUs}
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
end
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
 * count as a start. -> number of jobs given back
 */
export const giveBackScript = `${prelude}${evenWhenFull}${returning}
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
return #ids
`;

/**
 * ARGV periodMs, leaseMs, resultBytesMax, channel
 * ->   {returned ids, failed ids, expired ids}; empty when another process swept within the period
 *
 * A lock that is missing once proves nothing: after an outage its owner needs a moment to renew it. The
 * job is returned when the lock is still missing a renewal period later, and never before the server
 * itself has been up for a lease.
 */
export const sweepScript = `${prelude}${evenWhenFull}${ending}${returning}
local returned, failed, expired = {}, {}, {}
if not C('SET', P..'x:sweeping', 1, 'NX', 'PX', ARGV[1]) then return {returned, failed, expired} end
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
local freed = dropExpired(1000)
if freed > 0 then C('HINCRBY', P..'x:stat', 'resbytes', -freed) end
if C('EXISTS', P..'x:skip') == 1 then
  local oldest = tonumber(C('ZRANGE', P..'x:order', 0, 0, 'WITHSCORES')[2]) or math.huge
  for _, id in ipairs(C('LRANGE', P..'active', 0, -1)) do
    oldest = math.min(oldest, tonumber(C('HGET', P..id, 'xs')) or math.huge)
  end
  C('ZREMRANGEBYSCORE', P..'x:skip', '-inf', oldest == math.huge and '+inf' or oldest)
end
flush(ARGV[4])
return {returned, failed, expired}
`;

/**
 * ARGV id, gateway that wants to hear of the end ('' for none), resultBytesMax, channel
 * ->   {1, outcome, retention left ms} ended · {2, data, attempt, enqueuedUs, startedUs, deadlineMs, rank|-1} live · {0}
 */
export const findScript = `${prelude}${evenWhenFull}${ending}
local id = ARGV[1]
if C('EXISTS', P..id) == 1 and endIfLate(id, tonumber(ARGV[3])) then flush(ARGV[4]) end
local body = C('GET', P..'x:res:'..id)
if body then return {1, body, C('PTTL', P..'x:res:'..id)} end
local f = C('HMGET', P..id, 'data', 'ats', 'xe', 'xt', 'xd', 'xw')
if not f[1] then return {0} end
if ARGV[2] ~= '' and not string.find(f[6] or '', ',' .. ARGV[2], 1, true) then
  C('HSET', P..id, 'xw', (f[6] or '') .. ',' .. ARGV[2])
end
return {2, f[1], tonumber(f[2] or 0), tonumber(f[3]), tonumber(f[4] or 0), tonumber(f[5]),
  C('ZRANK', P..'x:order', id) or -1}
`;

/** ARGV id, detail, resultBytesMax, channel -> 1 canceled · 2 had ended · 0 unknown */
export const cancelScript = `${prelude}${evenWhenFull}${ending}
if C('EXISTS', P..'x:res:'..ARGV[1]) == 1 then return 2 end
if not endJob(ARGV[1], 'canceled', 'canceled_by_user', ARGV[2], tonumber(ARGV[3])) then return 0 end
flush(ARGV[4])
return 1
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
local oldest = C('ZRANGE', P..'x:order', 0, 0)[1]
local since = oldest and tonumber(C('HGET', P..oldest, 'xe') or nowUs) or nowUs
local stat = C('HMGET', P..'x:stat', 'bytes', 'resbytes')
return {C('ZCARD', P..'x:order'), C('LLEN', P..'active'), tonumber(stat[1] or 0), tonumber(stat[2] or 0), nowUs - since}
`;
