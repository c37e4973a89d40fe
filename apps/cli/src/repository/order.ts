/** `inferry models load` and `unload`: a gateway that runs is asked to give the order to all workers. */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isModelName } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import type { Report } from '../models-doctor.ts';
import { baseUrl } from '../setting-parsers.ts';

/** No gateway waits longer for its workers than an hour (INFERRY_MODEL_LOAD_MS). */
const answerMsMax = 3_660_000;
/** Of the answer; a problem is far smaller. */
const answerCharsMax = 65_536;

/** The exit code is 1 when the order was not carried out. The error is one of usage. */
export async function orderModel(
  verb: 'load' | 'unload',
  { flags, operands }: Pick<Invocation, 'flags' | 'operands'>,
): Promise<Result<Report, string>> {
  const model = operands[0] ?? '';
  if (!isModelName(model)) {
    return err(`"${model}" is not the name of a model; all its versions are ${verb}ed together`);
  }
  const base = baseUrl(flags.get('url') ?? 'http://127.0.0.1:8000');
  if (!base.ok) return err(`--url ${base.error}`);
  const told = await post(new URL(`${base.value}/v2/repository/models/${model}/${verb}`));
  if (!told.ok) return ok(failed(`${base.value}: ${told.error}`));
  const { status, text } = told.value;
  if (status === 200) return ok({ data: `${verb}ed ${model}\n`, remarks: '', exitCode: 0 });
  return ok(failed(`${model} was not ${verb}ed: ${reasonOf(text) ?? `status ${status}`}`));
}

/** The error says why there is no answer. */
function post(
  url: URL,
): Promise<Result<{ readonly status: number; readonly text: string }, string>> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const failedBy = (cause: Error): void => resolve(err(cause.message || 'cannot be reached'));
    const asked = request(url, { method: 'POST', timeout: answerMsMax }, (response) => {
      read(response).then(
        (text) => resolve(ok({ status: response.statusCode ?? 0, text })),
        failedBy,
      );
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${answerMsMax} ms`)));
    asked.on('error', failedBy);
    asked.end();
  });
}

async function read(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    if (text.length < answerCharsMax) text += String(chunk);
  }
  return text;
}

/** What a problem document says; undefined where the answer is none. */
function reasonOf(text: string): string | undefined {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    return typeof detail === 'string' ? detail : undefined;
  } catch {
    return undefined;
  }
}

function failed(reason: string): Report {
  return { data: '', remarks: `inferry: ${reason}\n`, exitCode: 1 };
}
