/** The index of the model repository extension (Triton, `extension_model_repository.md`). */
import type { Failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { parseJson } from './json.ts';
import { schemaRefusal } from './refusals.ts';

export const indexRequestSchema = z.strictObject({
  ready: z.boolean().optional().describe('Only versions that a worker has loaded.'),
});

export const indexSchema = z.array(
  z.strictObject({
    name: z.string(),
    version: z.string(),
    state: z.enum(['READY', 'LOADING', 'UNLOADING', 'UNAVAILABLE']),
    reason: z.string().describe('Why it is not ready; empty where there is nothing to say.'),
  }),
);

/** Whether only what is ready is asked for; the body may be absent. Errors: `malformed_json`, `unknown_field`, `invalid_input`. */
export function parseIndexRequest(
  body: Uint8Array,
): Result<{ readonly onlyReady: boolean }, Failure> {
  if (body.length === 0) return ok({ onlyReady: false });
  const json = parseJson(body);
  if (!json.ok) return json;
  const parsed = indexRequestSchema.safeParse(json.value);
  return parsed.success
    ? ok({ onlyReady: parsed.data.ready === true })
    : err(schemaRefusal(parsed.error, '#'));
}
