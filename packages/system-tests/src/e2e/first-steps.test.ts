/** The first minute of a newcomer: start, paste what is printed, open the pages, stop. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type AppProcess, repositoryPath, startProcess } from '@inferry/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, type Document, readiness, type RunningRole } from '../system.ts';

const readyWithinMs = 10_000;
/** Settings that pick the ports; the command is the one of `npm start`. */
const argv = ['serve', 'models'];
const env = { PORT: '0', METRICS_PORT: '0' };

describe('inferry serve models', () => {
  let serve: AppProcess;
  let role: RunningRole;
  let tookMs: number;
  let printed: readonly string[];

  beforeAll(async () => {
    const startedAtMs = performance.now();
    serve = startProcess(argv, { env });
    role = await readiness(serve, 'serve');
    tookMs = performance.now() - startedAtMs;
    await serve.waitForLine(/^Metrics {2}/u);
    printed = serve.lines.map((line) => line.trim());
  }, 60_000);

  afterAll(async () => {
    await serve[Symbol.asyncDispose]();
  });

  test('is ready within ten seconds', () => {
    expect(tookMs).toBeLessThan(readyWithinMs);
  });

  test('prints three lines that work when pasted: an answer, a job, its result', async () => {
    const lines = printed.filter((line) => /\bcurl -s\b/u.test(line));
    expect(lines).toHaveLength(3);
    // As in a terminal: one shell for all three, each answer on a line of its own.
    const script = [lines[0], 'echo', lines[1], 'echo "$JOB"', lines[2]].join('\n');
    const { stdout } = await promisify(execFile)('bash', ['-c', script], { cwd: repositoryPath() });
    const [iris = '', id = '', digits = ''] = stdout.trim().split('\n');
    expect(JSON.parse(iris)).toMatchObject({ status: 'succeeded', output: { label: 'setosa' } });
    expect(id).toMatch(/^job_[0-9a-z]{26}$/u);
    expect(JSON.parse(digits)).toMatchObject({ id, status: 'succeeded', output: { label: '7' } });
  });

  test('prints the addresses of its pages and of its metrics, and they answer', async () => {
    const docs = printed.find((line) => line.startsWith('Docs '))?.split(/\s+/u)[1] ?? '';
    const metrics = printed.find((line) => line.startsWith('Metrics '))?.split(/\s+/u)[1] ?? '';
    expect([docs, metrics]).toEqual([`${role.url}/docs`, `${role.metricsUrl}/metrics`]);
    const page = await text(docs);
    expect(page.type).toMatch(/^text\/html/u);
    const assets = [...page.body.matchAll(/(?:href|src)="(?<path>[^"]+)"/gu)].map(
      (match) => match.groups?.['path'] ?? '',
    );
    expect(assets.length).toBeGreaterThanOrEqual(3);
    for (const path of assets) {
      // A page that loads nothing from elsewhere works on a machine without a network.
      expect(path).toMatch(/^\/docs\/assets\//u);
      expect((await text(role.url + path)).body.length).toBeGreaterThan(0);
    }
    expect((await text(metrics)).body).toContain('inferry_requests_total');
    for (const path of ['/', '/livez', '/readyz', '/healthz', '/v2', '/v2/health/ready']) {
      expect((await text(role.url + path)).status, path).toBe(200);
    }
  });

  test('describes its routes, and what every served model takes', async () => {
    const { status, body } = await call(`${role.url}/openapi.json`);
    expect(status).toBe(200);
    expect(body['openapi']).toMatch(/^3\.1/u);
    const paths = Object.keys(body['paths'] as Document);
    for (const path of ['/v1/models/{model}/jobs', '/v1/jobs/{id}', '/v2/models/{model}/infer']) {
      expect(paths).toContain(path);
    }
    const models = (await call(`${role.url}/v1/models`)).body;
    expect(models).toMatchObject({ models: ['digits', 'iris'] });
  });

  test('ends with 0 on Ctrl-C', async () => {
    // As a terminal does: to the whole process group.
    serve.killTree('SIGINT');
    expect(await serve.exit).toEqual({ code: 0, signal: null });
  });

  async function text(
    url: string,
  ): Promise<{ readonly status: number; readonly type: string; readonly body: string }> {
    const response = await fetch(url);
    expect(response.status, url).toBe(200);
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: await response.text() };
  }
});

test('Ctrl-C during the start ends it with 0 too', async () => {
  await using serve = startProcess(argv, { env });
  await serve.waitForLine((line) => line.includes('"loaded"'));
  serve.killTree('SIGINT');
  expect((await serve.exit).code).toBe(0);
});
