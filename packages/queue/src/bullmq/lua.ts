/**
 * The Lua scripts: every change of a job's state is one of these calls, so that it happens entirely or
 * not at all. Taking, adding and finishing a job is done by BullMQ's own installed scripts: their text
 * becomes the body of a Lua function (its parameters shadow KEYS and ARGV) which ours call in a loop.
 * What a job is to BullMQ therefore always equals the installed version; a changed key layout fails at start.
 *
 * All keys of a class share the hash tag `{model@version}`, so that they live in one slot; scripts get
 * the class prefix as KEYS[1] and build the others from it, as BullMQ does for its job keys.
 *
 * Keys of a class, besides BullMQ's own:
 *   x:seq          string  last sequence number given; the order of arrival
 *   x:order        zset    id -> seq of the waiting jobs: position, depth, oldest
 *   x:dl           zset    id -> instant (ms) at which the job's time runs out
 *   x:stat         hash    removed: jobs that left the wait list so far (returned ones subtracted)
 *                          bytes: waiting payload bytes, resbytes: stored outcome bytes
 *   x:in:<id>      string  payload that did not travel with the job
 *   x:res:<id>     string  the outcome: settled (double), started (double), frame; see ../record.ts
 *   x:exp          zset    `<id>:<bytes>` -> instant (ms) at which the outcome expires
 *   x:sweeping     string  a sweep was made within this key's lifetime
 *
 * Fields of a job's hash, besides BullMQ's own (`ats` is the attempt, `stc` counts lost workers):
 *   xs seq · xe enqueued (us) · xd deadline (ms) · xq queue deadline (ms) · xr rows · xv envelope version ·
 *   xn payload bytes · xg gateway that waits · xw further gateways that wait (`,` in front of each) ·
 *   xm retention (ms) · xa attempts allowed · xi inline payload · xf fence of the current claim ·
 *   xt first start (us) · xo when the lock was first seen missing (ms)
 */
import { createRequire } from 'node:module';
import { invariant } from '@inferry/runtime';

interface InstalledScript {
  readonly content: string;
  readonly keys: number;
}

const installed = createRequire(import.meta.url)('bullmq/dist/cjs/scripts') as Readonly<
  Record<string, InstalledScript | undefined>
>;

/** The text of a BullMQ script, or an error at start when its key layout is not the one we know. */
function bullmqScript(name: string, keys: number): string {
  const script = installed[name];
  invariant(
    script?.keys === keys,
    `the installed BullMQ has a script ${name} with ${keys} keys (found ${script?.keys})`,
  );
  return script.content;
}

const prelude = `
local C = redis.call
local P = KEYS[1]
local T = C('TIME')
local nowUs = T[1] * 1000000 + T[2]
local nowMs = math.floor(nowUs / 1000)
local function int(x) return string.format('%.0f', x) end
`;

const bullAdd = `
local function bullAddText(KEYS, ARGV)
${bullmqScript('addStandardJob', 9)}
end
local function bullAdd(id, data)
  return bullAddText(
    {P..'wait', P..'paused', P..'meta', P..'id', P..'completed', P..'delayed', P..'active', P..'events', P..'marker'},
    {cmsgpack.pack({P, id, 'job', nowMs}), data, cmsgpack.pack({})})
end
`;

const bullTake = `
local function bullTakeText(KEYS, ARGV)
${bullmqScript('moveToActive', 11)}
end
local bullTakeKeys = {P..'wait', P..'active', P..'prioritized', P..'events', P..'stalled', P..'limiter',
  P..'delayed', P..'paused', P..'meta', P..'pc', P..'marker'}
`;

/** `endJob` and what it needs: the one way by which a job leaves the system. */
const ending = `
local function bullFinishText(KEYS, ARGV)
${bullmqScript('moveToFinished', 14)}
end
local bullFinishKeys = {P..'wait', P..'active', P..'prioritized', P..'events', P..'stalled', P..'limiter',
  P..'delayed', P..'paused', P..'meta', P..'pc', P..'completed', '', P..'metrics:completed', P..'marker'}

local outbox = {}
local function post(gateway, id, body)
  local box = outbox[gateway]
  if not box then box = {}; outbox[gateway] = box end
  box[#box + 1] = struct.pack('>I2', #id) .. id
  -- A large outcome is fetched by whoever waits for it, instead of being copied to every waiter.
  if #body <= 65536 then box[#box + 1] = struct.pack('>I4', #body) .. body
  else box[#box + 1] = struct.pack('>I4', 0) end
end
local function flush(channel)
  for gateway, box in pairs(outbox) do C('PUBLISH', channel .. gateway, table.concat(box)) end
end

-- Keeps the outcome for its time, and the sum of all outcomes within its bound (oldest first out).
local function store(id, body, retentionMs, resultBytesMax)
  local old = C('ZRANGEBYSCORE', P..'x:exp', '-inf', nowMs, 'LIMIT', 0, 16)
  local freed = 0
  for _, member in ipairs(old) do
    freed = freed + tonumber(string.match(member, ':(%d+)$'))
    C('ZREM', P..'x:exp', member)
  end
  C('SET', P..'x:res:'..id, body, 'PX', retentionMs)
  C('ZADD', P..'x:exp', nowMs + retentionMs, id .. ':' .. #body)
  local total = C('HINCRBY', P..'x:stat', 'resbytes', #body - freed)
  local evictions = 0
  while total > resultBytesMax and evictions < 64 do
    local popped = C('ZPOPMIN', P..'x:exp')[1]
    if not popped then break end
    local victim, bytes = string.match(popped, '^(.*):(%d+)$')
    C('UNLINK', P..'x:res:'..victim)
    total = C('HINCRBY', P..'x:stat', 'resbytes', -tonumber(bytes))
    evictions = evictions + 1
  end
end

-- Ends a job that is in BullMQ's active list. token '0': the caller has checked ownership itself.
-- Returns BullMQ's code, 0 when done.
local function finishActive(id, token, completed, frame, resultBytesMax)
  local f = C('HMGET', P..id, 'xg', 'xw', 'xt', 'xm', 'xn', 'xi')
  bullFinishKeys[12] = P..id
  local code = bullFinishText(bullFinishKeys, {id, nowMs,
    completed and 'returnvalue' or 'failedReason', 'null', completed and 'completed' or 'failed', '0', P,
    cmsgpack.pack({token = token, keepJobs = {count = 0}, attempts = 1, maxMetricsSize = ''})})
  if code ~= 0 then return code end
  C('ZREM', P..'x:dl', id)
  if not f[6] then C('UNLINK', P..'x:in:'..id) end
  local body = struct.pack('>dd', nowUs, tonumber(f[3] or 0)) .. frame
  store(id, body, tonumber(f[4]), resultBytesMax)
  if f[1] and f[1] ~= '' then post(f[1], id, body) end
  if f[2] then for gateway in string.gmatch(f[2], ',([^,]+)') do post(gateway, id, body) end end
  return 0
end

local function leaveWaiting(id, bytes)
  C('ZREM', P..'x:order', id)
  C('HINCRBY', P..'x:stat', 'removed', 1)
  if bytes > 0 then C('HINCRBY', P..'x:stat', 'bytes', -bytes) end
end

-- Ends a job with an error, wherever it is. status: 'expired' | 'failed' | 'canceled'.
local function endJob(id, status, code, detail, resultBytesMax)
  local f = C('HMGET', P..id, 'data', 'ats', 'xe', 'xd', 'xn')
  if not f[1] then return false end
  if C('ZSCORE', P..'x:order', id) then
    -- BullMQ finishes active jobs only. Old jobs are at the right end of the list: look there first.
    C('LREM', P..'wait', -1, id)
    C('LPUSH', P..'active', id)
    leaveWaiting(id, tonumber(f[5]))
  end
  C('DEL', P..id..':lock')
  local head = '{"h":{"job":' .. f[1] .. ',"attempt":' .. (f[2] or '0')
    .. ',"enqueuedAtMs":' .. string.format('%.3f', tonumber(f[3]) / 1000) .. ',"deadlineAtMs":' .. f[4]
    .. ',"outcome":{"status":"' .. status .. '","output":null,"error":{"code":"' .. code .. '","detail":'
    .. cjson.encode(detail) .. '},"batchRows":null,"timings":null,"readyAtMs":null,"overtakenBy":0}},"b":[]}'
  return finishActive(id, '0', false, struct.pack('<I4', #head) .. head, resultBytesMax) == 0
end

-- A job whose time has run out: expired when it never ran, else failed. Returns true when it was ended.
local function endIfLate(id, resultBytesMax)
  local f = C('HMGET', P..id, 'xq', 'xd', 'ats')
  if not f[1] then return false end
  local started = tonumber(f[3] or 0) > 0
  local waiting = C('ZSCORE', P..'x:order', id)
  if started or not waiting then
    if nowMs < tonumber(f[2]) then return false end
    return endJob(id, 'failed', 'deadline_exceeded', 'The job did not end before its deadline.', resultBytesMax)
  end
  if nowMs < tonumber(f[1]) then return false end
  return endJob(id, 'expired', 'queue_timeout', 'The job was not started in time; it never ran.', resultBytesMax)
end
`;

/** Puts jobs back at their old places, which are before all jobs that never left. */
const returning = `
-- ids: jobs in the active list, in any order. They become the head of the wait list, by seq, together
-- with jobs that came back earlier.
local function returnJobs(ids)
  if #ids == 0 then return end
  local back, maxSeq = {}, 0
  for _, id in ipairs(ids) do
    local f = C('HMGET', P..id, 'xs', 'xn', 'xq', 'xd')
    local seq = tonumber(f[1])
    if seq > maxSeq then maxSeq = seq end
    back[#back + 1] = {seq, id}
    C('LREM', P..'active', -1, id)
    C('DEL', P..id..':lock')
    C('HDEL', P..id, 'xf', 'xo')
    C('ZADD', P..'x:order', seq, id)
    local started = tonumber(C('HGET', P..id, 'ats') or 0) > 0
    C('ZADD', P..'x:dl', started and f[4] or f[3], id)
    C('HINCRBY', P..'x:stat', 'removed', -1)
    if tonumber(f[2]) > 0 then C('HINCRBY', P..'x:stat', 'bytes', f[2]) end
    C('XADD', P..'events', '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
  end
  while true do
    local head = C('LINDEX', P..'wait', -1)
    local seq = head and tonumber(C('ZSCORE', P..'x:order', head) or 0)
    if not seq or seq > maxSeq then break end
    C('RPOP', P..'wait')
    back[#back + 1] = {seq, head}
  end
  table.sort(back, function(a, b) return a[1] > b[1] end)
  for _, entry in ipairs(back) do C('RPUSH', P..'wait', entry[2]) end
  C('ZADD', P..'marker', 0, '0')
end
`;

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
 * ->   {nowUs, waiting, rowsWaiting, oldestUs, suspectAhead,
 *       {id, data, attempt, suspect, seq, enqueuedUs, deadlineMs, overtaken, inline|false}, ...}
 */
export const claimScript = `${prelude}${bullTake}${ending}
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

if rowsMin > 1 then
  -- Count no further than needed to decide. Returned jobs and suspects do not wait for company.
  local waiting, sum = C('LRANGE', P..'wait', -rowsMin, -1), 0
  local hasSuspect = false
  for _, id in ipairs(waiting) do
    local f = C('HMGET', P..id, 'xr', 'stc')
    sum = sum + tonumber(f[1] or 0)
    if f[2] then hasSuspect = true end
  end
  if sum < rowsMin and not hasSuspect then out[3] = sum; return answer() end
end

while true do
  local id = C('LINDEX', P..'wait', -1)
  if not id then break end
  local f = C('HMGET', P..id, 'xr', 'stc', 'xv', 'xs', 'xq', 'xd', 'ats')
  if not f[4] then
    C('RPOP', P..'wait')                       -- its hash is gone: nothing to run, nobody to tell
  elseif late < 100 and nowMs >= tonumber(tonumber(f[7] or 0) > 0 and f[6] or f[5])
    and endIfLate(id, resultBytesMax) then
    late = late + 1
  else
    if tonumber(f[3]) > tonumber(ARGV[7]) then break end
    local suspect, itemRows = tonumber(f[2] or 0) > 0, tonumber(f[1])
    if suspect and ARGV[6] ~= '1' then suspectAhead = 1; break end
    if #out > 5 and (suspect or rows + itemRows > rowsMax) then break end
    local taken = bullTakeText(bullTakeKeys, {P, nowMs, packed})
    if type(taken[1]) ~= 'table' then break end -- paused, rate limited or at its global concurrency
    local h = {}
    for i = 1, #taken[1], 2 do h[taken[1][i]] = taken[1][i + 1] end
    local seq = tonumber(h.xs)
    local rank = C('ZRANK', P..'x:order', id) or 0
    local removed = tonumber(C('HGET', P..'x:stat', 'removed') or 0)
    leaveWaiting(id, tonumber(h.xn))
    C('ZADD', P..'x:dl', h.xd, id)
    C('HSET', P..id, 'xf', fence)
    C('HSETNX', P..id, 'xt', int(nowUs))
    rows = rows + itemRows
    out[#out + 1] = {id, h.data, tonumber(h.ats), suspect and 1 or 0, seq, tonumber(h.xe), tonumber(h.xd),
      removed - ((seq - 1) - rank), h.xi or false}
    if suspect or rows >= rowsMax then break end
  end
end
return answer()
`;

/**
 * ARGV channel, resultBytesMax, n, then for each job: id, fence, '1' when it succeeded, frame
 * ->   {nowUs, code, ...}: 0 settled, anything else lost
 */
export const settleScript = `${prelude}${ending}
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
export const renewScript = `${prelude}
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
export const giveBackScript = `${prelude}${returning}
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
export const sweepScript = `${prelude}${ending}${returning}
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
flush(ARGV[4])
return {returned, failed, expired}
`;

/**
 * ARGV id, gateway that wants to hear of the end ('' for none), resultBytesMax, channel
 * ->   {1, outcome, retention left ms} ended · {2, data, attempt, enqueuedUs, startedUs, deadlineMs, rank|-1} live · {0}
 */
export const findScript = `${prelude}${ending}
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
export const cancelScript = `${prelude}${ending}
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
