/**
 * Calls to the service and what is measured about them, for all k6 scripts. The load is open: an
 * arrival does not wait for the answer before it, so nothing here sleeps. Refusals for load (429, 503)
 * are counted apart from failures, and must say when to come back.
 */
import { check } from 'k6';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const baseUrl = (__ENV.BASE_URL || 'http://127.0.0.1:8000').replace(/\/$/, '');

/** Request sent to answer (infer) or to the answer of the last poll (jobs), ms. */
const endToEnd = new Trend('inferry_e2e', true);
/** Right answers in time, of all that were asked for. */
const good = new Rate('inferry_good');
const refused = new Counter('inferry_refused');

const load = [429, 503];
/** Longest time a poll is held by the server, s. */
const pollWaitS = 10;
const pollsMax = 6;

/** Name of the first input of a model; fails the run when the model is not served. */
export function inputName(model) {
  const response = http.get(`${baseUrl}/v2/models/${model}`, { tags: { name: 'metadata' } });
  if (response.status !== 200) throw new Error(`${model}: ${response.status} ${response.body}`);
  return response.json('inputs.0.name');
}

/** POST /v2/models/{model}/infer; `isRight` judges the parsed body. */
export function infer(model, body, isRight) {
  const startMs = Date.now();
  const response = http.post(`${baseUrl}/v2/models/${model}/infer`, JSON.stringify(body), {
    headers: { 'content-type': 'application/json' },
    tags: { name: 'infer', model },
    timeout: '30s',
    responseCallback: http.expectedStatuses(200, ...load),
  });
  if (isRefused(response, model)) return;
  const isGood = check(
    response,
    {
      'infer: status is 200': (r) => r.status === 200,
      'infer: the answer is right': (r) => r.status === 200 && isRight(r.json()),
      'infer: Server-Timing has a total': (r) => /\btotal;dur=/.test(r.headers['Server-Timing']),
    },
    { model },
  );
  note(model, startMs, isGood);
}

/** Submits bytes as they are, then polls until the job is done; `isRight` judges its output. */
export function submitAndPoll(model, bytes, mediaType, isRight) {
  const startMs = Date.now();
  const submitted = http.post(`${baseUrl}/v1/models/${model}/jobs`, bytes, {
    headers: { 'content-type': mediaType, prefer: 'respond-async' },
    tags: { name: 'submit', model },
    timeout: '30s',
    responseCallback: http.expectedStatuses(202, ...load),
  });
  if (isRefused(submitted, model)) return;
  const isAccepted = check(
    submitted,
    {
      'submit: status is 202': (r) => r.status === 202,
      'submit: Location is given': (r) => Boolean(r.headers.Location),
    },
    { model },
  );
  if (!isAccepted) return note(model, startMs, false);
  const job = poll(submitted.json('id'), model);
  const isGood = check(
    job,
    {
      'job: has succeeded': (j) => j.status === 'succeeded',
      'job: the output is right': (j) => j.status === 'succeeded' && isRight(j.output),
    },
    { model },
  );
  note(model, startMs, isGood);
}

function poll(id, model) {
  let job = { status: 'never polled' };
  for (let i = 0; i < pollsMax && job.done !== true; i += 1) {
    const response = http.get(`${baseUrl}/v1/jobs/${id}?wait=${pollWaitS}`, {
      tags: { name: 'poll', model },
      timeout: `${pollWaitS + 10}s`,
    });
    if (response.status !== 200) return { status: `poll answered ${response.status}` };
    job = response.json();
  }
  return job;
}

function isRefused(response, model) {
  if (!load.includes(response.status)) return false;
  refused.add(1, { model });
  good.add(false, { model });
  check(response, { 'a refusal has Retry-After': (r) => Boolean(r.headers['Retry-After']) });
  return true;
}

function note(model, startMs, isGood) {
  endToEnd.add(Date.now() - startMs, { model });
  good.add(isGood, { model });
}
