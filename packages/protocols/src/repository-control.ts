/** Load and unload of the model repository extension (Triton, `extension_model_repository.md`). */
import type { ControlOrder, Failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { parseJson } from './json.ts';
import { pointerTo, refusal, schemaRefusal } from './refusals.ts';

type Want = ControlOrder['want'];

export const loadRequestSchema = z.strictObject({
  parameters: z
    .strictObject({})
    .optional()
    .describe('None: a model is loaded from its folder, with the configuration it has there.'),
});

export const unloadRequestSchema = z.strictObject({
  parameters: z
    .strictObject({
      unload_dependents: z
        .boolean()
        .optional()
        .describe('Taken, and without effect: the models that an ensemble runs stay loaded.'),
    })
    .optional(),
});

/** Reads the body, which may be absent. Errors: `malformed_json`, and those of {@link checkControl}. */
export function parseControl(body: Uint8Array, want: Want): Result<void, Failure> {
  if (body.length === 0) return ok(undefined);
  const json = parseJson(body);
  return json.ok ? checkControl(json.value, want) : json;
}

/**
 * Whether what the request says can be done. Errors: `invalid_input`, also for a configuration or files that
 * are to be loaded in place of those of the repository; `unknown_field`.
 */
export function checkControl(request: unknown, want: Want): Result<void, Failure> {
  const schema = want === 'loaded' ? loadRequestSchema : unloadRequestSchema;
  const given = z.object({ parameters: z.record(z.string(), z.unknown()) }).safeParse(request);
  const own = given.success ? Object.keys(given.data.parameters).filter(isOwnModel) : [];
  if (want === 'loaded' && own.length > 0) {
    const problems = own.map((name) => {
      const pointer = pointerTo('#/parameters', name);
      const detail = `${pointer} is not supported: a model is loaded as its folder in the repository has it.`;
      return { pointer, code: 'not_supported', detail };
    });
    return err(refusal('invalid_input', problems));
  }
  const parsed = schema.safeParse(request);
  return parsed.success ? ok(undefined) : err(schemaRefusal(parsed.error, '#'));
}

/** A configuration, or a file, that comes with the request. */
function isOwnModel(name: string): boolean {
  return name === 'config' || name.startsWith('file:');
}
