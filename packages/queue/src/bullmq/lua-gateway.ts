/**
 * The Lua scripts of the gateway side. Every change of a job's state is one such call, so that it happens entirely or
 * not at all. KEYS[1] is the prefix of a class; the parts the scripts share, and the keys and fields they use,
 * are in lua-parts.ts. Instants are `us` or `ms` since the epoch, on the server's clock.
 */
import { estimating } from './lua-estimate.ts';
import { bullAdd, ending, evenWhenFull, prelude, rowTag, waitingJobs } from './lua-parts.ts';

/**
 * Whether a job would be taken, and what is known of its wait. Its first arguments are those of both
 * scripts that ask: ARGV tenant, priority, rows, payload bytes, weight, depthMax, bytesMax,
 * tenantDepthMax ('' for none), usedMs ('' without a budget), budgetMs, '1' when a worker is needed.
 */
const deciding = `
local tenant, rows, payloadBytes, weight = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local flow = tenant .. '/' .. ARGV[2]
readStat({'vt', 'c:'..flow, 'rows', 'bytes', 'q:'..tenant, 'every', 'last', 'e:'..flow, 'l:'..flow, 'seq', 'n:'..flow, 'ev', 'arrived'})
local waiting, flows = C('ZCARD', P..'prioritized'), C('ZCARD', P..'x:heads')
-- Behind those of its flow that were taken or still wait. What jobs were charged that ended before they
-- were taken is given back once none waits behind them.
local lastOfFlow = C('ZRANGE', P..'x:q:'..flow, -1, -1)[1]
local tag = math.max(stat('vt'), stat('c:'..flow),
  lastOfFlow and tonumber(C('HGET', P..lastOfFlow, 'xh') or 0) or 0)
local function aheadOf(tag)
  if waiting == 0 then return 0 end
  if flows == 1 and lastOfFlow and tag > stat('vt') then return waiting end
  return C('ZCOUNT', P..'prioritized', '-inf', tag)
end
local ahead = aheadOf(tag)

-- A refusal as the reply that says so, or nil and what is expected, ms.
local function decide()
  if waiting >= tonumber(ARGV[6]) then return {0, 'depth'} end
  if stat('bytes') + payloadBytes > tonumber(ARGV[7]) then return {0, 'bytes'} end
  if ARGV[8] ~= '' and stat('q:'..tenant) >= tonumber(ARGV[8]) then return {0, 'tenant'} end
  local servers = liveServers()
  local rowsAhead = rowsOfFirst(ahead, waiting)
  local ready, bound = estimate(rowsAhead, rows, servers)
  local toCome = ready and rowsToCome(flow, math.floor((tag - stat('vt')) * weight / ${rowTag}), ready) or 0
  if toCome > 0 then ready, bound = estimate(rowsAhead + toCome, rows, servers) end
  if ARGV[9] == '' then return nil, ready, bound end
  if not ready then
    if ARGV[11] == '1' then return {0, 'worker'} end
    return nil
  end
  local leftMs = tonumber(ARGV[10]) - tonumber(ARGV[9])
  if ready <= leftMs then return nil, ready, bound end
  if ARGV[8] ~= '' and estimate(rowsOfFirst(aheadOf(stat('vt')), waiting), rows, servers) <= leftMs then
    return {0, 'share', us(ready), pace(servers)}
  end
  return {0, 'late', us(ready), pace(servers)}
end
`;

/** ARGV as above -> {1, ready us | -1, latest start us} would be added · {0, why, ready us, us of a row, rows of a batch} */
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
 *      {0, 'depth'|'bytes'|'tenant'|'worker'|'share'|'late', ready us, us of a row, rows of a batch} refused, nothing changed
 */
export const enqueueScript = `${prelude}${estimating}${waitingJobs}${bullAdd}${deciding}
-- Of the class or of a flow: the mean time between two rows, and the last arrival.
local function noteArrival(every, last)
  if stat(last) > 0 then
    local apartUs = math.min(nowUs - stat(last), 10000000) / rows
    local mean = stat(every)
    bump(every, mean == 0 and math.ceil(apartUs) or math.floor((apartUs - mean) / 32 + 0.5))
  end
  bump(last, nowUs - stat(last))
end

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
bump('arrived', rows)
local seq = stat('seq')
local nextTag = tag + math.max(1, math.floor(rows * ${rowTag} / weight))
noteArrival('every', 'last')
noteArrival('e:'..flow, 'l:'..flow)

local deadline, queueDeadline = nowMs + tonumber(ARGV[16]), nowMs + tonumber(ARGV[17])
bullAdd(id, data, tag)
local fields = {'xs', seq, 'xl', flow, 'xc', stat('n:'..flow), 'xz', tag, 'xh', nextTag, 'xe', nowUs,
  'xd', deadline, 'xq', queueDeadline, 'xr', rows, 'xv', ARGV[21], 'xn', payloadBytes, 'xg', ARGV[18],
  'xm', ARGV[19], 'xa', ARGV[20]}
local function field(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if ARGV[15] == '0' then field('xi', ARGV[14]) end
if ready then
  field('xp', nowUs + us(ready))
  field('xu', nowUs + us(bound))
  if ARGV[9] ~= '' then field('xy', nowUs + us(tonumber(ARGV[10]) - tonumber(ARGV[9]))) end
end
C('HSET', jobKey, unpack(fields))
C('ZADD', P..'x:q:'..flow, seq, id)
C('ZADD', P..'x:dl', queueDeadline, id)
countWaiting(flow, 1, rows, payloadBytes)
local change = changeNumber()
if not lastOfFlow then
  C('ZADD', P..'x:heads', seq, flow)
  flows = flows + 1
end
saveStat()
return {1, seq, nowUs, ahead, deadline, flows, ready and us(ready) or -1, bound and us(bound) or -1, change}
`;

/**
 * ARGV id, gateway that wants to hear of the end ('' for none), resultBytesMax, channel
 * ->   {1, nowUs, change | 0, outcome} ended ·
 *      {2, nowUs, 0, data, attempt, enqueuedUs, startedUs, deadlineMs, rank|-1, flows that wait, expected end us | -1}
 *      live · {0, nowUs, 0}
 */
export const findScript = `${prelude}${evenWhenFull}${estimating}${ending}
local id, change = ARGV[1], 0
-- Who will hear of the end leaves it to a sweep, which tells how many it ended.
if ARGV[2] == '' and C('EXISTS', P..id) == 1 and endIfLate(id, tonumber(ARGV[3])) then
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
local part = C('XREVRANGE', P..'x:part:'..id, '+', '-', 'COUNT', 1)[1]
if part then bytes = bytes + tonumber(part[2][2]) end
C('UNLINK', P..'x:res:'..id, P..'x:part:'..id)
if C('ZREM', P..'x:exp', id .. ':' .. int(bytes)) == 1 then C('HINCRBY', P..'x:stat', 'resbytes', -bytes) end
return 1
`;
