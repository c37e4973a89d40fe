/**
 * Calls to the service and what is measured about them, for all k6 scripts. The load is open: an arrival does not
 * wait for the answer before it, so nothing here sleeps. Refusals for load (429, 503) are counted apart from
 * failures, and must say when to come back.
 */
import { check } from 'k6';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const baseUrl = (__ENV.BASE_URL || 'http://127.0.0.1:8000').replace(/\/$/, '');
/** Longest time until an answer, and until a job has ended, s. */
const timeoutS = Number(__ENV.TIMEOUT_S || 30);
const timeout = `${timeoutS}s`;

/** Request sent to answer (infer), or to the answer of the last poll (jobs), of right answers, ms. */
const endToEnd = new Trend('inferry_e2e', true);
/** The same as the server tells it in Server-Timing, ms: what is between the two is the way, and this client. */
const server = new Trend('inferry_server_total', true);
/** Request sent to refusal, ms. */
const refusal = new Trend('inferry_refusal', true);
/** Right answers within the time that the caller has, of all that were asked for. */
const good = new Rate('inferry_good');
/** The same, of those that were accepted. */
const inTime = new Rate('inferry_in_time');
const accepted = new Counter('inferry_accepted');
const refused = new Counter('inferry_refused');

const load = [429, 503];
/** Longest time a poll is held by the server, s. */
const pollWaitS = Math.min(10, timeoutS);
const pollsMax = Math.ceil(timeoutS / pollWaitS);

/** What a model takes: `{ name, datatype, shape }` of each input. Fails the run when it is not served. */
export function modelInputs(model) {
  const response = http.get(`${baseUrl}/v2/models/${model}`, { tags: { name: 'metadata' } });
  if (response.status !== 200) throw new Error(`${model}: ${response.status} ${response.body}`);
  return response.json('inputs');
}

/**
 * POST /v2/models/{model}/infer. `isRight` judges the parsed body; an answer after `withinMs` is not good; `tags`
 * are on everything that is measured; a `tenant` among them is told to the server.
 */
export function infer(model, body, { isRight = hasOutputs, withinMs = Infinity, tags = {} } = {}) {
  const labels = { model, ...tags };
  const startMs = Date.now();
  const response = http.post(`${baseUrl}/v2/models/${model}/infer`, JSON.stringify(body), {
    headers: headersOf(tags),
    tags: { name: 'infer', ...labels },
    timeout,
    responseCallback: http.expectedStatuses(200, ...load),
  });
  const ms = Date.now() - startMs;
  if (isRefused(response, ms, labels)) return;
  const isAnswered = check(
    response,
    {
      'infer: status is 200': (r) => r.status === 200,
      'infer: the answer is right': (r) => r.status === 200 && isRight(r.json()),
      'infer: Server-Timing has a total': (r) => serverMs(r) !== undefined,
    },
    labels,
  );
  if (isAnswered) server.add(serverMs(response), labels);
  note(isAnswered, ms, withinMs, labels);
}

/** Submits `body` as a job; returns its document, or undefined where it was refused or not accepted. */
export function submit(model, body, { mediaType = 'application/json', key, tags = {} } = {}) {
  const labels = { model, ...tags };
  const startMs = Date.now();
  const headers = { ...headersOf(tags), 'content-type': mediaType, prefer: 'respond-async' };
  if (key !== undefined) headers['idempotency-key'] = key;
  const response = http.post(`${baseUrl}/v1/models/${model}/jobs`, body, {
    headers,
    tags: { name: 'submit', ...labels },
    timeout,
    responseCallback: http.expectedStatuses(202, ...load),
  });
  const ms = Date.now() - startMs;
  if (isRefused(response, ms, labels)) return undefined;
  const isAccepted = check(
    response,
    {
      'submit: status is 202': (r) => r.status === 202,
      'submit: Location is given': (r) => Boolean(r.headers.Location),
    },
    labels,
  );
  if (isAccepted) return { ...documentOf(response), startMs };
  note(false, ms, Infinity, labels);
  return undefined;
}

/** Polls a job that `submit` returned until it has ended; `isRight` judges the whole document. */
export function followJob(model, job, { isRight, withinMs = Infinity, tags = {} }) {
  const labels = { model, ...tags };
  const ended = poll(job.id, labels);
  const isGood = check(
    ended,
    {
      'job: has ended': (j) => j.done === true,
      'job: ended as it should': (j) => j.done === true && isRight(j),
    },
    labels,
  );
  note(isGood, Date.now() - job.startMs, withinMs, labels);
  return ended;
}

/** Cancels a job; one that has ended meanwhile cannot be, which is an answer too. */
export function cancel(model, job, tags = {}) {
  const response = http.post(`${baseUrl}/v1/jobs/${job.id}/cancel`, null, {
    tags: { name: 'cancel', model, ...tags },
    timeout,
  });
  check(response, { 'cancel: status is 200': (r) => r.status === 200 }, { model, ...tags });
}

function poll(id, labels) {
  let job = { status: 'never polled' };
  for (let i = 0; i < pollsMax && job.done !== true; i += 1) {
    const response = http.get(`${baseUrl}/v1/jobs/${id}?wait=${pollWaitS}`, {
      tags: { name: 'poll', ...labels },
      timeout: `${pollWaitS + 10}s`,
    });
    if (response.status !== 200) return { status: `poll answered ${response.status}` };
    job = documentOf(response);
  }
  return job;
}

/** An iteration that threw would count nowhere: what is no JSON is a document of a job that never ends. */
function documentOf(response) {
  try {
    return response.json();
  } catch {
    return { status: 'not JSON' };
  }
}

function headersOf({ tenant }) {
  const headers = { 'content-type': 'application/json' };
  return tenant === undefined ? headers : { ...headers, 'inferry-tenant': tenant };
}

function hasOutputs(answer) {
  return answer.outputs.length > 0;
}

function serverMs(response) {
  const told = /\btotal;dur=([0-9.]+)/.exec(response.headers['Server-Timing']);
  return told === null ? undefined : Number(told[1]);
}

function isRefused(response, ms, labels) {
  if (!load.includes(response.status)) return false;
  refused.add(1, labels);
  refusal.add(ms, labels);
  good.add(false, labels);
  check(
    response,
    { 'a refusal has Retry-After': (r) => Number(r.headers['Retry-After']) >= 1 },
    labels,
  );
  return true;
}

function note(isRight, ms, withinMs, labels) {
  const isInTime = isRight && ms <= withinMs;
  if (isRight) endToEnd.add(ms, labels);
  accepted.add(1, labels);
  good.add(isInTime, labels);
  inTime.add(isInTime, labels);
}
