/** Inputs as requests of the one API or the other. */
import { err, ok, type Result } from '@inferry/runtime';
import type { HttpRequest } from './http.ts';
import type { Input } from './inputs.ts';
import type { BenchOptions } from './options.ts';

/** The longest hold that a gateway grants. */
const waitSMax = 55;

/**
 * One request for each input. With the job API, JSON becomes the member `input` of a submit and other files
 * are the body; the request asks to be held for as long as the time limit is. With v2, JSON is the body.
 */
export function requestsOf(
  inputs: readonly Input[],
  options: BenchOptions,
): Result<readonly HttpRequest[], string> {
  const requests: HttpRequest[] = [];
  for (const { name, mediaType, bytes } of inputs) {
    const isJson = mediaType === 'application/json';
    if (options.api === 'v2' && !isJson) {
      return err(`--input ${name}: the v2 API takes JSON bodies; images go to --api jobs`);
    }
    requests.push({
      method: 'POST',
      origin: options.origin,
      path: options.api === 'v2' ? `${modelPath(options)}/infer` : submitPath(options),
      headers: {
        'content-type': mediaType,
        ...(options.api === 'jobs' ? { prefer: `wait=${waitS(options.timeoutMs)}` } : {}),
        ...options.headers,
      },
      body:
        isJson && options.api === 'jobs'
          ? Buffer.concat([Buffer.from('{"input":'), bytes, Buffer.from('}')])
          : bytes,
    });
  }
  return ok(requests);
}

/** Where v2 tells of the model. */
export function modelPath({ basePath, model, version }: BenchOptions): string {
  return `${basePath}/v2/models/${model}${version === null ? '' : `/versions/${version}`}`;
}

/** Where to ask for a job, and to be held until it has ended. */
export function jobPath({ basePath }: BenchOptions, id: string, leftMs: number): string {
  return `${basePath}/v1/jobs/${encodeURIComponent(id)}?wait=${waitS(leftMs)}`;
}

function submitPath({ basePath, model, version }: BenchOptions): string {
  return `${basePath}/v1/models/${model}${version === null ? '' : `@${version}`}/jobs`;
}

/** Whole seconds to be held for. */
function waitS(ms: number): number {
  return Math.min(waitSMax, Math.max(1, Math.ceil(ms / 1_000)));
}
