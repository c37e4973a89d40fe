/** What is asked of the server before it is put under load: whether it is there, has the model, and takes the input. */
import { err, ok, type Result } from '@inferry/runtime';
import { didYouMean } from '../suggest.ts';
import { memberOf, parseDocument, textOf } from './documents.ts';
import type { Ending } from './exchange.ts';
import type { HttpAnswer, HttpPort } from './http.ts';
import type { BenchOptions } from './options.ts';
import { modelPath } from './requests.ts';

/** Other refusals may pass with the load; these are about the request, and will not. */
const mayPass: ReadonlySet<number> = new Set([408, 409, 425, 429]);

const namesShownMax = 10;

/** The metadata of the model, as `GET /v2/models/{model}` tells it. The error is for people. */
export async function askModel(
  options: BenchOptions,
  http: HttpPort,
): Promise<Result<unknown, string>> {
  const url = `${options.origin}${options.basePath}`;
  const answer = await get(modelPath(options), options, http);
  if (!answer.ok) return err(`no answer from ${url}: ${answer.error.detail}`);
  const { status, body } = answer.value;
  const document = parseDocument(body);
  if (status === 200) return ok(document);
  const said = textOf(memberOf(document, 'detail')) ?? textOf(memberOf(document, 'error')) ?? '';
  if (status !== 404) return err(`${url} answers ${status} when asked for the model: ${said}`);
  const version = options.version === null ? '' : ` version ${options.version}`;
  const names = await modelNames(options, http);
  const there = names.length === 0 ? '' : `; it has ${names.slice(0, namesShownMax).join(', ')}`;
  const meant = didYouMean(options.model, names) || there;
  const hint = names.includes(options.model) ? '' : meant;
  return err(`${url} has no model "${options.model}"${version}${hint}`);
}

/** Why it makes no sense to go on after the first request ended like this; undefined where it does. */
export function refusalOf(ending: Ending): string | undefined {
  const { status, code, detail, isSuccess } = ending;
  if (isSuccess) return undefined;
  const said = [code, detail].filter((text) => text !== null && text !== '').join(': ');
  if (status === null) return `the first request got no answer: ${said}`;
  const isJobOfOwn = status < 300;
  const isAboutRequest = status < 500 && !mayPass.has(status);
  if (!isJobOfOwn && !isAboutRequest) return undefined;
  return `the first request did not succeed (status ${status}): ${said || 'no more was told'}`;
}

/** None where the server does not list them: not every one does. */
async function modelNames(options: BenchOptions, http: HttpPort): Promise<readonly string[]> {
  const answer = await get(`${options.basePath}/v2/models`, options, http);
  const names = answer.ok ? memberOf(parseDocument(answer.value.body), 'models') : undefined;
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function get(
  path: string,
  { origin, headers, timeoutMs }: BenchOptions,
  http: HttpPort,
): Promise<Result<HttpAnswer, { readonly detail: string }>> {
  return http.send({ method: 'GET', origin, path, headers, body: null }, timeoutMs);
}
