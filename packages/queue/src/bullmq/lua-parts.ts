/**
 * What the scripts of lua-gateway.ts and lua-worker.ts are made of. Taking, adding and finishing a job is done by BullMQ's own installed scripts: their text
 * becomes the body of a Lua function (its parameters shadow KEYS and ARGV) which ours call in a loop.
 * What a job is to BullMQ therefore always equals the installed version; a changed key layout fails at start.
 *
 * All keys of a class share the hash tag `{model@version}`, so that they live in one slot; scripts get
 * the class prefix as KEYS[1] and build the others from it, as BullMQ does for its job keys.
 *
 * The waiting jobs of a class are in BullMQ's `prioritized` set, with the start tag as their score (see
 * fair-queue.ts in @inferry/scheduling): its first is the next in turn. A **flow** is `<tenant>/<priority>`.
 *
 * Keys of a class, besides BullMQ's own:
 *   x:q:<flow>     zset    id -> seq of the waiting jobs of a flow: order of arrival, rank, oldest
 *   x:heads        zset    flow -> seq of its oldest waiting job; the flows that have work
 *   x:dl           zset    id -> instant (ms) at which the job's time runs out
 *   x:stat         hash    seq: last sequence number given · ev: number of the last change · vt: virtual time · taken: first claims ·
 *                          rows, bytes: waiting rows and payload bytes · resbytes: stored outcome bytes ·
 *                          arrived: rows that were accepted · left: jobs given back as they were · work: ms of one worker that a row takes ·
 *                          every, last: mean time between two rows (us), last arrival (us) · e:<flow>, l:<flow> those of a flow ·
 *                          q:<tenant> waiting jobs · n:<flow> jobs that arrived · d:<flow> jobs that left the
 *                          wait (returned ones subtracted) · c:<flow> earliest tag
 *                          behind those of its jobs that were taken
 *   x:taken        hash    flow -> rows of its jobs that were claimed, each job once
 *   x:sum          hash    what was done since the class exists: the counters of ../statistics.ts · last: the last success (ms)
 *   x:serve        hash    worker -> what its runs take, when its slots are free, until when that is believed
 *   x:skip:<flow>  zset    seq -> seq of jobs that ended while they waited: they left, but overtook nobody.
 *                          Kept while a job with a lower seq lives; the sweep removes the rest
 *   x:skips        set     flows that have such jobs
 *   x:in:<id>      string  payload that did not travel with the job
 *   x:res:<id>     string  the outcome: settled (double), started (double), frame; see ../record.ts
 *   x:exp          zset    `<id>:<bytes>` -> instant (ms) at which the outcome expires, with its partial outputs
 *   x:part:<id>    stream  partial outputs that the claim with the fence yf told; see lua-partials.ts
 *   x:sweeping     string  a sweep was made within this key's lifetime
 *   x:cl:<worker>  string  fence of the worker's last claim
 *
 * Fields of a job's hash, besides BullMQ's own (`ats` is the attempt, `stc` counts lost workers):
 *   xs seq · xl flow · xc its number in its flow · xz start tag, below all others from the first claim on · xh earliest tag of
 *   the job of its flow behind it · xe enqueued (us) · xd deadline (ms) ·
 *   xq queue deadline (ms) · xr rows · xv envelope version · xn payload bytes · xg gateway that waits ·
 *   xw further gateways that wait (`,` in front of each) · xm retention (ms) · xa attempts allowed ·
 *   xi inline payload · xf fence of the current claim · xk jobs that overtook it · xt first start (us) ·
 *   xb it came back · xo when the lock was first seen missing (ms) ·
 *   yf fence of the claim that told the partial outputs · ye its epoch, one more for each such claim · yn how many it
 *   told · yb their bytes · yg gateways that follow the job (`,` in front of each) ·
 *   xp, xu expected answer and latest start (us), as estimated when it was accepted · xy end of its budget (us)
 */
import { createRequire } from 'node:module';
import { invariant } from '@inferry/runtime';

/** Virtual time of one row of a flow of weight 1, as in fair-queue.ts of @inferry/scheduling. */
export const rowTag = 20_160;

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
-- Numbers that become part of a text; as arguments of commands they are exact by themselves.
local function int(x) return string.format('%.0f', x) end

-- The numbers of x:stat: read once, changed here, written at the end by saveStat.
local statRead, statChange = {}, {}
local function readStat(fields)
  for i, value in ipairs(C('HMGET', P..'x:stat', unpack(fields))) do statRead[fields[i]] = tonumber(value or 0) end
end
local function stat(field)
  if not statRead[field] then statRead[field] = tonumber(C('HGET', P..'x:stat', field) or 0) end
  return statRead[field] + (statChange[field] or 0)
end
local function bump(field, by)
  statChange[field] = (statChange[field] or 0) + by
end
local function saveStat()
  local known = {}
  for field, by in pairs(statChange) do
    if statRead[field] then
      known[#known + 1] = field
      known[#known + 1] = statRead[field] + by
    elseif by ~= 0 then
      C('HINCRBY', P..'x:stat', field, by)
    end
  end
  if #known > 0 then C('HSET', P..'x:stat', unpack(known)) end
  statRead, statChange = {}, {}
end
-- The number of the change that this call makes. Once a call, before saveStat.
local function changeNumber()
  bump('ev', 1)
  return stat('ev')
end
`;

/**
 * Begins every script by which jobs move on and end. A Redis at its memory limit refuses the first write
 * of a script when that write could take memory, and none after it; were these refused, no job would end
 * and the memory would never come back. Only an enqueue is refused.
 */
export const evenWhenFull = `
C('DEL', P..'x:none')
`;

/** Adds a job to the waiting ones at its tag; BullMQ would make a score of its own, and cap it. */
export const bullAdd = `
local function bullAddText(KEYS, ARGV)
${bullmqScript('addPrioritizedJob', 9)}
end
local function bullAdd(id, data, tag)
  bullAddText(
    {P..'marker', P..'meta', P..'id', P..'prioritized', P..'delayed', P..'completed', P..'active', P..'events', P..'pc'},
    {cmsgpack.pack({P, id, 'job', nowMs}), data, cmsgpack.pack({priority = 1})})
  C('ZADD', P..'prioritized', tag, id)
end
`;

export const bullTake = `
local function bullTakeText(KEYS, ARGV)
${bullmqScript('moveToActive', 11)}
end
local bullTakeKeys = {P..'wait', P..'active', P..'prioritized', P..'events', P..'stalled', P..'limiter',
  P..'delayed', P..'paused', P..'meta', P..'pc', P..'marker'}
`;

/** Keeps count of what waits, and of the oldest job of each flow. */
export const waitingJobs = `
local touched = {}
local function countWaiting(flow, jobs, rows, bytes)
  touched[flow] = true
  bump('q:'..string.match(flow, '^(.*)/'), jobs)
  bump('rows', rows)
  bump('bytes', bytes)
end
-- Brings x:heads up to date with the flows that changed; returns the number of flows that have work.
local function refreshHeads()
  for flow in pairs(touched) do
    local head = C('ZRANGE', P..'x:q:'..flow, 0, 0, 'WITHSCORES')
    if head[1] then C('ZADD', P..'x:heads', head[2], flow) else C('ZREM', P..'x:heads', flow) end
  end
  touched = {}
  return C('ZCARD', P..'x:heads')
end
-- Ends every script that changed what waits.
local function saveWaiting()
  refreshHeads()
  saveStat()
end
`;

/** Messages to gateways: outcomes they wait for, and that there is news of a job they follow. */
export const posting = `
local outbox = {}
local function post(gateway, id, body)
  local box = outbox[gateway]
  if not box then box = {}; outbox[gateway] = box end
  box[#box + 1] = struct.pack('>I2', #id) .. id
  -- A large outcome is fetched by whoever waits for it, instead of being copied to every waiter.
  if not body then box[#box + 1] = struct.pack('>I4', 4294967295)
  elseif #body <= 65536 then box[#box + 1] = struct.pack('>I4', #body) .. body
  else box[#box + 1] = struct.pack('>I4', 0) end
end
-- gateways: \`,\` in front of each.
local function tell(gateways, id, body)
  for gateway in string.gmatch(gateways, ',([^,]+)') do post(gateway, id, body) end
end
local function flush(channel)
  for gateway, box in pairs(outbox) do C('PUBLISH', channel .. gateway, table.concat(box)) end
end
`;

/** `endJob` and what it needs: the one way by which a job leaves the system. */
export const ending = `${waitingJobs}${posting}
local function bullFinishText(KEYS, ARGV)
${bullmqScript('moveToFinished', 14)}
end
local bullFinishKeys = {P..'wait', P..'active', P..'prioritized', P..'events', P..'stalled', P..'limiter',
  P..'delayed', P..'paused', P..'meta', P..'pc', P..'completed', '', P..'metrics:completed', P..'marker'}

-- Takes up to limit outcomes that have expired off the list; returns the bytes they had.
local function dropExpired(limit)
  local freed = 0
  for _, member in ipairs(C('ZRANGEBYSCORE', P..'x:exp', '-inf', nowMs, 'LIMIT', 0, limit)) do
    freed = freed + tonumber(string.match(member, ':(%d+)$'))
    C('ZREM', P..'x:exp', member)
  end
  return freed
end

-- Keeps the outcome for its time, and the sum of all outcomes within its bound (oldest first out), each with its
-- partial outputs.
local function store(id, body, partialBytes, retentionMs, resultBytesMax)
  local freed = dropExpired(16)
  C('SET', P..'x:res:'..id, body, 'PX', retentionMs)
  local bytes = #body + partialBytes
  C('ZADD', P..'x:exp', nowMs + retentionMs, id .. ':' .. int(bytes))
  local total = C('HINCRBY', P..'x:stat', 'resbytes', bytes - freed)
  local evictions = 0
  while total > resultBytesMax and evictions < 64 do
    local popped = C('ZPOPMIN', P..'x:exp')[1]
    if not popped then break end
    local victim, bytes = string.match(popped, '^(.*):(%d+)$')
    C('UNLINK', P..'x:res:'..victim, P..'x:part:'..victim)
    total = C('HINCRBY', P..'x:stat', 'resbytes', -tonumber(bytes))
    evictions = evictions + 1
  end
end

-- Ends a job that is in BullMQ's active list. token '0': the caller has checked ownership itself.
-- Returns BullMQ's code, 0 when done.
local function finishActive(id, token, completed, frame, resultBytesMax)
  local f = C('HMGET', P..id, 'xg', 'xw', 'xt', 'xm', 'xn', 'xi', 'yf', 'xf', 'yb', 'yg')
  bullFinishKeys[12] = P..id
  local code = bullFinishText(bullFinishKeys, {id, nowMs,
    completed and 'returnvalue' or 'failedReason', 'null', completed and 'completed' or 'failed', '0', P,
    cmsgpack.pack({token = token, keepJobs = {count = 0}, attempts = 1, maxMetricsSize = ''})})
  if code ~= 0 then return code end
  C('ZREM', P..'x:dl', id)
  if not f[6] then C('UNLINK', P..'x:in:'..id) end
  local body = struct.pack('>dd', nowUs, tonumber(f[3] or 0)) .. frame
  local partialBytes = 0
  if f[7] and f[7] == f[8] then
    partialBytes = tonumber(f[9])
    C('PEXPIRE', P..'x:part:'..id, f[4])
  elseif f[7] then
    C('UNLINK', P..'x:part:'..id)   -- of a claim that was lost
  end
  store(id, body, partialBytes, tonumber(f[4]), resultBytesMax)
  if f[1] and f[1] ~= '' then post(f[1], id, body) end
  if f[2] then tell(f[2], id, body) end
  if f[10] then tell(f[10], id) end
  return 0
end

-- A job that waits no longer; it is not in \`prioritized\` any more.
local function leaveWaiting(id, flow, rows, bytes)
  C('ZREM', P..'x:q:'..flow, id)
  bump('d:'..flow, 1)
  countWaiting(flow, -1, -rows, -bytes)
end

-- Ends a job with an error, wherever it is. status: 'expired' | 'failed' | 'canceled'.
local function endJob(id, status, code, detail, resultBytesMax)
  local f = C('HMGET', P..id, 'data', 'ats', 'xe', 'xd', 'xn', 'xs', 'xl', 'xr')
  if not f[1] then return false end
  if C('ZREM', P..'prioritized', id) == 1 then
    -- BullMQ finishes active jobs only.
    C('LPUSH', P..'active', id)
    leaveWaiting(id, f[7], tonumber(f[8]), tonumber(f[5]))
    C('ZADD', P..'x:skip:'..f[7], f[6], f[6])
    C('SADD', P..'x:skips', f[7])
  end
  C('DEL', P..id..':lock')
  local head = '{"h":{"job":' .. f[1] .. ',"attempt":' .. (f[2] or '0')
    .. ',"enqueuedAtMs":' .. string.format('%.3f', tonumber(f[3]) / 1000) .. ',"deadlineAtMs":' .. f[4]
    .. ',"outcome":{"status":"' .. status .. '","output":null,"error":{"code":"' .. code .. '","detail":'
    .. cjson.encode(detail) .. '},"batchRows":null,"timings":null,"readyAtMs":null,"overtakenBy":0}},"b":[]}'
  return finishActive(id, '0', false, struct.pack('<I4', #head) .. head, resultBytesMax) == 0
end

-- A job whose time has run out: expired when it never ran, else failed. Returns which, where it was ended.
local function endIfLate(id, resultBytesMax)
  local f = C('HMGET', P..id, 'xq', 'xd', 'ats')
  if not f[1] then return false end
  local started = tonumber(f[3] or 0) > 0
  local waiting = C('ZSCORE', P..'prioritized', id)
  if started or not waiting then
    if nowMs < tonumber(f[2]) then return false end
    return endJob(id, 'failed', 'deadline_exceeded', 'The job did not end before its deadline.', resultBytesMax)
      and 'failed'
  end
  if nowMs < tonumber(f[1]) then return false end
  return endJob(id, 'expired', 'queue_timeout', 'The job was not started in time; it never ran.', resultBytesMax)
    and 'expired'
end
`;

/** Puts jobs back at their old places, which are before all jobs that never left. Needs {@link waitingJobs}. */
export const returning = `
-- ids: jobs in the active list, in any order.
local function returnJobs(ids)
  if #ids == 0 then return end
  for _, id in ipairs(ids) do
    local f = C('HMGET', P..id, 'xs', 'xn', 'xq', 'xd', 'xl', 'xr', 'xz', 'ats')
    local flow = f[5]
    C('LREM', P..'active', -1, id)
    C('DEL', P..id..':lock')
    C('HDEL', P..id, 'xf', 'xo')
    C('HSET', P..id, 'xb', 1)
    C('ZADD', P..'prioritized', f[7], id)
    C('ZADD', P..'x:q:'..flow, f[1], id)
    C('ZADD', P..'x:dl', tonumber(f[8] or 0) > 0 and f[4] or f[3], id)
    bump('d:'..flow, -1)
    countWaiting(flow, 1, tonumber(f[6]), tonumber(f[2]))
    C('XADD', P..'events', '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
  end
  C('ZADD', P..'marker', 0, '0')
end
`;
