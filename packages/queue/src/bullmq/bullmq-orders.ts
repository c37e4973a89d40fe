/** Orders on Redis: one hash, with a field for each model and one for the last number. */
import type { ControlOrder } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import { orderedModelsMax, type OrderStore } from '../orders.ts';
import { guard, type QueueContext } from './queue-context.ts';

/** No name of a model begins with this character. */
const numberField = '#';

/**
 * KEYS[1] the hash, ARGV: model, want, models at most -> number, ms. A field holds `<number> <ms> <want>`. The
 * first write takes no memory: a Redis at its limit would refuse the others after one that could. Numbers are
 * instants where they can be, so that they rise also when Redis has lost its memory.
 */
const orderScript = `
local C, K = redis.call, KEYS[1]
C('HDEL', K, '')
local T = C('TIME')
local nowMs = T[1] * 1000 + math.floor(T[2] / 1000)
local number = math.max(tonumber(C('HGET', K, '${numberField}') or 0) + 1, nowMs)
local text = string.format('%.0f', number)
C('HSET', K, '${numberField}', text, ARGV[1], text .. ' ' .. string.format('%.0f', nowMs) .. ' ' .. ARGV[2])
if C('HLEN', K) > tonumber(ARGV[3]) + 1 then
  local fields = C('HGETALL', K)
  local oldest, least = {}, {}
  for i = 1, #fields, 2 do
    local value, want = string.match(fields[i + 1], '^(%d+) %d+ (%a+)')
    if want and fields[i] ~= ARGV[1] and (not least[want] or tonumber(value) < least[want]) then
      oldest[want], least[want] = fields[i], tonumber(value)
    end
  end
  C('HDEL', K, oldest.loaded or oldest.unloaded)
end
return {text, string.format('%.0f', nowMs)}
`;

export function bullmqOrders({ names, commands }: QueueContext): OrderStore {
  return {
    order: ({ model, want }) =>
      guard(async () => {
        // As text and not by its hash: orders are rare.
        const reply = await commands.eval(
          orderScript,
          1,
          names.orders,
          model,
          want,
          orderedModelsMax,
        );
        const [number, atMs] = (reply as readonly string[]).map(Number);
        invariant(
          number !== undefined && atMs !== undefined,
          'an order has a number and an instant',
        );
        return { number, model, want, atMs };
      }),

    async orders() {
      const fields = await commands.hgetall(names.orders);
      return Object.entries(fields)
        .filter(([model]) => model !== numberField)
        .map(([model, text]): ControlOrder => {
          const [number, atMs, want] = text.split(' ');
          invariant(
            want === 'loaded' || want === 'unloaded',
            `the order of ${model} says what is wanted`,
          );
          return { number: Number(number), model, want, atMs: Number(atMs) };
        })
        .toSorted((a, b) => a.number - b.number);
    },
  };
}
