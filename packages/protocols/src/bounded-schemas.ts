/**
 * Lists and records whose size is looked at before their members are. A schema reports every member
 * that is wrong, at hundreds of bytes each: without a bound, one body of a few megabytes would take
 * all memory of the process.
 */
import { z } from 'zod';

/** A list of `min` to `max` items. */
export function boundedList<Item extends z.ZodType>(
  item: Item,
  { min, max }: { readonly min: number; readonly max: number },
) {
  return z.preprocess((value, context) => {
    if (!Array.isArray(value) || value.length <= max) return value;
    context.addIssue({
      code: 'too_big',
      origin: 'array',
      maximum: max,
      inclusive: true,
      input: value,
    });
    return z.NEVER;
  }, z.array(item).min(min).max(max));
}

/**
 * A record of at most `max` members. A member called `__proto__`, which a record would drop without a
 * word, is refused as an unknown one.
 */
export function boundedRecord<Value extends z.ZodType>(
  value: Value,
  { max }: { readonly max: number },
) {
  return z.preprocess(
    (given, context) => {
      if (given === null || typeof given !== 'object') return given;
      const input: Record<string, unknown> = Object(given);
      if (Object.hasOwn(input, '__proto__')) {
        context.addIssue({ code: 'unrecognized_keys', keys: ['__proto__'], input });
      } else if (Object.keys(input).length > max) {
        context.addIssue({
          code: 'too_big',
          origin: 'record',
          maximum: max,
          inclusive: true,
          input,
        });
      } else {
        return given;
      }
      return z.NEVER;
    },
    z.record(z.string(), value),
  );
}
