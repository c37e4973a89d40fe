/** The body of a cancel, which may be absent. */
import type { Failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { parseJson } from './json.ts';
import { schemaRefusal } from './refusals.ts';

const reasonCharsMax = 512;

export const cancelSchema = z.strictObject({
  reason: z.string().max(reasonCharsMax).optional().describe('Shown in the error of the job.'),
});

/** The reason, if one is given. Errors: `malformed_json`, `unknown_field`, `invalid_input`. */
export function parseCancel(body: Uint8Array): Result<string | undefined, Failure> {
  if (body.length === 0) return ok(undefined);
  const json = parseJson(body);
  if (!json.ok) return json;
  const parsed = cancelSchema.safeParse(json.value);
  return parsed.success ? ok(parsed.data.reason) : err(schemaRefusal(parsed.error, '#'));
}
