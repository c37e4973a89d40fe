/** The Lua scripts that tell how a class stands, and the one that adds to its statistics. As for those of lua-worker.ts. */
import { prelude } from './lua-parts.ts';

/**
 * Looks at the flows that have work, and at no job but the oldest of each priority.
 * ->   {waiting, active, waiting bytes, outcome bytes, waiting rows, rows that arrived, live workers, ms of a worker
 *       that a row takes | null, us since the oldest waiting job of high, of normal and of low priority arrived,
 *       tenants with jobs waiting, jobs given back}
 */
export const statsScript = `${prelude}
readStat({'bytes', 'resbytes', 'rows', 'arrived', 'left'})
local ages, tenants, tenantsWaiting = {}, {}, 0
-- In order of arrival: the first flow of a priority has the oldest of its jobs.
for _, flow in ipairs(C('ZRANGE', P..'x:heads', 0, -1)) do
  local tenant, priority = string.match(flow, '^(.*)/(.*)$')
  if not ages[priority] then
    local oldest = C('ZRANGE', P..'x:q:'..flow, 0, 0)[1]
    ages[priority] = nowUs - tonumber(oldest and C('HGET', P..oldest, 'xe') or nowUs)
  end
  if not tenants[tenant] then
    tenants[tenant] = true
    tenantsWaiting = tenantsWaiting + 1
  end
end
local workers = 0
for _, offer in ipairs(C('HVALS', P..'x:serve')) do
  if cmsgpack.unpack(offer).till > nowMs then workers = workers + 1 end
end
return {C('ZCARD', P..'prioritized'), C('LLEN', P..'active'), stat('bytes'), stat('resbytes'), stat('rows'),
  stat('arrived'), workers, C('HGET', P..'x:stat', 'work'), ages.high or 0, ages.normal or 0, ages.low or 0,
  tenantsWaiting, stat('left')}
`;

/** -> {{flow, jobs that wait, ...}, {flow, rows taken, ...}} */
export const flowsScript = `
local P = KEYS[1]
local waiting = {}
for _, flow in ipairs(redis.call('ZRANGE', P..'x:heads', 0, -1)) do
  waiting[#waiting + 1] = flow
  waiting[#waiting + 1] = redis.call('ZCARD', P..'x:q:'..flow)
end
return {waiting, redis.call('HGETALL', P..'x:taken')}
`;

/** ARGV: instant (ms) of the last success | 0, {counter, by, ...} */
export const addStatisticsScript = `
local key = KEYS[1]..'x:sum'
for i = 2, #ARGV, 2 do redis.call('HINCRBY', key, ARGV[i], ARGV[i + 1]) end
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', key, 'last') or 0) then redis.call('HSET', key, 'last', ARGV[1]) end
`;

/** -> {counter, value, ...}, `last` among them */
export const statisticsScript = `return redis.call('HGETALL', KEYS[1]..'x:sum')`;
