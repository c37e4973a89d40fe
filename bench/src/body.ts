/**
 * What a request costs the gateway, by the form in which its image comes: CPU time of the gateway's process
 * for one request over HTTP, through Redis and back, garbage collection included.
 *
 *     npm run bench:body -- [--file image.jpg | --bytes 232345] [--forms json,raw,multipart,tensor,small]
 *                           [--requests 1000] [--rounds 5] [--connections 8] [--against checkout] [--json]
 *
 * `against` is another checkout of this repository: its gateway takes turns with this one, on the same bytes.
 * No model runs. This process is the worker of both: it claims jobs and settles them without a look at their
 * payloads, so that what is left is the gateway. It is the load generator too.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { classOf, type Outcome } from '@inferry/contracts';
import { createBullmqQueue } from '@inferry/queue';
import { systemClock } from '@inferry/runtime';
import { repositoryPath, startProcess, startRedisServer, waitFor } from '@inferry/testkit';
import autocannon from 'autocannon';
import { cpuMs } from './process-cpu.ts';
import { median } from './quantile.ts';

const { values } = parseArgs({
  options: {
    file: { type: 'string' },
    bytes: { type: 'string', default: '232345' },
    forms: { type: 'string', default: 'json,raw,multipart,tensor,small' },
    requests: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '8' },
    against: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

interface Form {
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

const model = 'pictures';
const cls = classOf(model, '1');
const modelYaml = `backend: simulated
max_batch_size: 32
inputs: [{name: x, dtype: FP32, shape: [-1, 3, 4, 4]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 3, 4, 4]}]
preprocess: {image: {input: image, size: [4, 4]}}
simulated: {run_ms: 0}
`;
const outcome: Outcome = {
  status: 'succeeded',
  output: { form: 'rows', rows: [{ label: 'cat', score: 1 }] },
  error: null,
  batchRows: 1,
  timings: {
    queueWaitMs: 0,
    fetchMs: 0,
    preprocessMs: 0,
    batchWaitMs: 0,
    computeMs: 0,
    postprocessMs: 0,
  },
  readyAtMs: null,
  overtakenBy: 0,
};

const image =
  values.file === undefined ? randomBytes(Number(values.bytes)) : await readFile(values.file);
const forms = formsOf(image);
const names = values.forms.split(',');
const models = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
await mkdir(join(models, model, '1'), { recursive: true });
await writeFile(join(models, model, 'model.yaml'), modelYaml);

const checkouts = [
  ...(values.against === undefined ? [] : [{ side: 'other', checkout: values.against }]),
  { side: 'this', checkout: repositoryPath() },
];
const sides = await Promise.all(checkouts.map(openSide));
const samples: { side: string; form: string; us: number; redisUs: number; failed: number }[] = [];
try {
  for (const name of names) {
    const form = forms.get(name);
    if (form === undefined) throw new Error(`--forms: one of ${[...forms.keys()].join(', ')}`);
    // Code that has not run often is still being compiled.
    for (const side of sides) await load(side.url, form);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const { side, url, pid, redisPid } of sides) {
        const before = [cpuMs(pid), cpuMs(redisPid)] as const;
        const result = await load(url, form);
        const perRequestUs = (after: number, at: number): number =>
          ((after - at) * 1_000) / Math.max(1, result['2xx']);
        samples.push({
          side,
          form: name,
          us: perRequestUs(cpuMs(pid), before[0]),
          redisUs: perRequestUs(cpuMs(redisPid), before[1]),
          failed: result.non2xx + result.errors,
        });
      }
    }
  }
} finally {
  await Promise.all(sides.map((side) => side.close()));
  await rm(models, { recursive: true, force: true });
}
const lines = names.flatMap((form) =>
  checkouts.map(({ side }) => {
    const rounds = samples.filter((sample) => sample.form === form && sample.side === side);
    return {
      form,
      gateway: side,
      body_bytes: forms.get(form)?.body.length,
      gateway_us: Math.round(median(rounds.map(({ us }) => us))),
      gateway_us_least: Math.round(Math.min(...rounds.map(({ us }) => us))),
      redis_us: Math.round(median(rounds.map(({ redisUs }) => redisUs))),
      failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
    };
  }),
);
if (values.json) for (const line of lines) console.log(JSON.stringify(line));
else console.table(lines);

function formsOf(bytes: Buffer): ReadonlyMap<string, Form> {
  const json = 'application/json';
  const jobs = `/v1/models/${model}/jobs`;
  const infer = `/v2/models/${model}/infer`;
  const base64 = bytes.toString('base64');
  const tensor = { name: 'image', shape: [1], datatype: 'BYTES', data: [{ b64: base64 }] };
  const numbers = Array.from({ length: 48 }, (_, i) => i);
  const small = { name: 'x', shape: [1, 3, 4, 4], datatype: 'FP32', data: numbers };
  const form = (path: string, contentType: string, body: unknown): Form => ({
    path,
    contentType,
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
  });
  const multipart = Buffer.concat([
    Buffer.from('--bench\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'),
    bytes,
    Buffer.from('\r\n--bench--\r\n'),
  ]);
  return new Map([
    ['json', form(jobs, json, { input: { image: { $b64: base64 } } })],
    ['raw', form(jobs, 'application/octet-stream', bytes)],
    ['multipart', form(jobs, 'multipart/form-data; boundary=bench', multipart)],
    ['tensor', form(infer, json, { inputs: [tensor] })],
    ['small', form(infer, json, { inputs: [small] })],
  ]);
}

/** A gateway of one checkout on a Redis of its own, and the worker that ends its jobs. */
async function openSide({
  side,
  checkout,
}: {
  readonly side: string;
  readonly checkout: string;
}): Promise<{
  readonly side: string;
  readonly url: string;
  readonly pid: number;
  readonly redisPid: number;
  close(): Promise<void>;
}> {
  const redis = await startRedisServer();
  const process = startProcess(['gateway', '--models', models], {
    checkout,
    env: { REDIS_URL: redis.url, PORT: '0', METRICS_PORT: '0' },
  });
  const ready = JSON.parse(await process.waitForLine(/"msg":"ready"/u, 30_000)) as {
    readonly pid: number;
    readonly http_port: number;
  };
  const queue = createBullmqQueue({
    url: redis.url,
    prefix: 'inferry',
    clock: systemClock,
    processId: `bench-${side}`,
  });
  await waitFor(async () => (await queue.ping()) !== undefined);
  const stop = new AbortController();
  const settling = settleAll(queue, stop.signal);
  return {
    side,
    url: `http://127.0.0.1:${ready.http_port}`,
    pid: ready.pid,
    redisPid: redis.pid,
    async close() {
      stop.abort();
      await settling;
      await queue.close();
      await process.stop();
      await redis[Symbol.asyncDispose]();
    },
  };
}

async function settleAll(
  queue: ReturnType<typeof createBullmqQueue>,
  signal: AbortSignal,
): Promise<void> {
  const workerId = 'bench';
  const request = { rowsMax: 32, rowsMin: 1, takeSuspect: false, freeInMs: [0], agingMs: 60_000 };
  while (!signal.aborted) {
    const { claims } = await queue.claim(cls, { workerId, ...request });
    const settlements = claims.map((claim) => ({ claim, outcome }));
    if (claims.length > 0) await queue.settle(cls, settlements);
    else await queue.awaitWork(workerId, [cls], signal);
  }
}

function load(url: string, form: Form): Promise<autocannon.Result> {
  return autocannon({
    url: `${url}${form.path}`,
    connections: Number(values.connections),
    amount: Number(values.requests),
    method: 'POST',
    headers: { 'content-type': form.contentType, prefer: 'wait=10' },
    body: form.body,
  });
}
