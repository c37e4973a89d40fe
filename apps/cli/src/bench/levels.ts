/** The loads to measure, as the command line says them: `1,2,4,8`, `10:100:10`, `1:16:*2`. */
import { err, ok, type Result } from '@inferry/runtime';

/** One load. Closed loop: requests open at any time. Open loop: requests begun a second. */
export type Level =
  | { readonly kind: 'concurrency'; readonly value: number }
  | { readonly kind: 'request_rate'; readonly value: number };

/** More of them in one run are a slip of the keyboard. */
const levelsMax = 100;

const bounds = {
  concurrency: { min: 1, max: 10_000, isWhole: true, what: 'a whole number from 1 to 10000' },
  request_rate: { min: 0.01, max: 100_000, isWhole: false, what: 'a number from 0.01 to 100000' },
} as const;

/** In the order given. The error says what is wrong, to follow the name of the flag. */
export function parseLevels(kind: Level['kind'], text: string): Result<readonly Level[], string> {
  const levels: Level[] = [];
  for (const part of text.split(',')) {
    const values = part.includes(':') ? rangeOf(part) : ok([Number(part.trim() || Number.NaN)]);
    if (!values.ok) return values;
    for (const value of values.value) {
      const { min, max, isWhole, what } = bounds[kind];
      if (!(value >= min && value <= max) || (isWhole && !Number.isInteger(value))) {
        return err(`must be a list or range of loads; each is ${what}, "${part.trim()}" is not`);
      }
      levels.push({ kind, value });
    }
    if (levels.length > levelsMax) return err(`has more than ${levelsMax} loads`);
  }
  return ok(levels);
}

/** `first:last`, `first:last:step` or `first:last:*factor`, both ends included where the steps meet them. */
function rangeOf(text: string): Result<readonly number[], string> {
  const [first = '', last = '', step = '1', ...rest] = text.split(':').map((part) => part.trim());
  const isFactor = step.startsWith('*');
  const [from, to, by] = [first, last, isFactor ? step.slice(1) : step].map((part) =>
    part === '' ? Number.NaN : Number(part),
  ) as [number, number, number];
  const isRange = rest.length === 0 && from > 0 && to >= from && to < Number.POSITIVE_INFINITY;
  if (!isRange || !(isFactor ? by > 1 : by > 0)) {
    return err(`has "${text}", which is no range like 1:16, 10:100:10 or 1:16:*2`);
  }
  const values: number[] = [];
  // Counted from the start, so that fractions do not add up; a billionth too much is still the end.
  for (let i = 0; values.length <= levelsMax; i += 1) {
    const value = isFactor ? from * by ** i : from + by * i;
    if (value > to * (1 + 1e-9)) break;
    values.push(Math.round(value * 1e6) / 1e6);
  }
  return ok(values);
}
