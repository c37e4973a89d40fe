/**
 * What the scripts of lua.ts are made of. Taking, adding and finishing a job is done by BullMQ's own installed scripts: their text
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
 *   x:skip         zset    seq -> seq of jobs that ended while they waited: they left, but overtook nobody.
 *                          Kept while a job with a lower seq lives; the sweep removes the rest
 *   x:in:<id>      string  payload that did not travel with the job
 *   x:res:<id>     string  the outcome: settled (double), started (double), frame; see ../record.ts
 *   x:exp          zset    `<id>:<bytes>` -> instant (ms) at which the outcome expires
 *   x:sweeping     string  a sweep was made within this key's lifetime
 *   x:cl:<worker>  string  fence of the worker's last claim
 *
 * Fields of a job's hash, besides BullMQ's own (`ats` is the attempt, `stc` counts lost workers):
 *   xs seq · xe enqueued (us) · xd deadline (ms) · xq queue deadline (ms) · xr rows · xv envelope version ·
 *   xn payload bytes · xg gateway that waits · xw further gateways that wait (`,` in front of each) ·
 *   xm retention (ms) · xa attempts allowed · xi inline payload · xf fence of the current claim ·
 *   xk jobs that overtook it · xt first start (us) · xb it came back · xo when the lock was first seen missing (ms)
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

export const prelude = `
local C = redis.call
local P = KEYS[1]
local T = C('TIME')
local nowUs = T[1] * 1000000 + T[2]
local nowMs = math.floor(nowUs / 1000)
local function int(x) return string.format('%.0f', x) end
`;

/**
 * Begins every script by which jobs move on and end. A Redis at its memory limit refuses the first write
 * of a script when that write could take memory, and none after it; were these refused, no job would end
 * and the memory would never come back. Only an enqueue is refused.
 */
export const evenWhenFull = `
C('DEL', P..'x:none')
`;

export const bullAdd = `
local function bullAddText(KEYS, ARGV)
${bullmqScript('addStandardJob', 9)}
end
local function bullAdd(id, data)
  return bullAddText(
    {P..'wait', P..'paused', P..'meta', P..'id', P..'completed', P..'delayed', P..'active', P..'events', P..'marker'},
    {cmsgpack.pack({P, id, 'job', nowMs}), data, cmsgpack.pack({})})
end
`;

export const bullTake = `
local function bullTakeText(KEYS, ARGV)
${bullmqScript('moveToActive', 11)}
end
local bullTakeKeys = {P..'wait', P..'active', P..'prioritized', P..'events', P..'stalled', P..'limiter',
  P..'delayed', P..'paused', P..'meta', P..'pc', P..'marker'}
`;

/** `endJob` and what it needs: the one way by which a job leaves the system. */
export const ending = `
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

-- Takes up to limit outcomes that have expired off the list; returns the bytes they had.
local function dropExpired(limit)
  local freed = 0
  for _, member in ipairs(C('ZRANGEBYSCORE', P..'x:exp', '-inf', nowMs, 'LIMIT', 0, limit)) do
    freed = freed + tonumber(string.match(member, ':(%d+)$'))
    C('ZREM', P..'x:exp', member)
  end
  return freed
end

-- Keeps the outcome for its time, and the sum of all outcomes within its bound (oldest first out).
local function store(id, body, retentionMs, resultBytesMax)
  local freed = dropExpired(16)
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
  local f = C('HMGET', P..id, 'data', 'ats', 'xe', 'xd', 'xn', 'xs')
  if not f[1] then return false end
  if C('ZSCORE', P..'x:order', id) then
    -- BullMQ finishes active jobs only. Old jobs are at the right end of the list: look there first.
    C('LREM', P..'wait', -1, id)
    C('LPUSH', P..'active', id)
    leaveWaiting(id, tonumber(f[5]))
    C('ZADD', P..'x:skip', f[6], f[6])
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
export const returning = `
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
    C('HSET', P..id, 'xb', 1)
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
