/**
 * Versions that come, go and break while the system serves, as an operator brings that about: by folders, by
 * versions.yaml through the command line, and by SIGHUP.
 */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppProcess, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answer,
  call,
  inParallel,
  postJson,
  readiness,
  type RunningRole,
  System,
} from '../system.ts';

const onnx = repositoryPath('packages/testkit/fixtures/models/identity_fp32/1/model.onnx');
/** Loading, and switching, on a machine that has other work too. */
const timeoutMs = 30_000;
let models: string;

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-versions-'));
});
afterEach(() => rm(models, { recursive: true }));

/** Lands as a deployment lands it: all at once. */
async function publish(version: string, content?: Uint8Array): Promise<void> {
  const aside = join(models, 'm', `.${version}`);
  await cp(onnx, join(aside, 'model.onnx'));
  if (content !== undefined) await writeFile(join(aside, 'model.onnx'), content);
  await rename(aside, join(models, 'm', version));
}

function infer(url: string, at = ''): Promise<Answer> {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
  return postJson(`${url}/v2/models/m${at}/infer`, { inputs });
}

/** What so many requests were answered by. */
function answeredBy(url: string, requests: number): Promise<readonly unknown[]> {
  return inParallel(Array.from({ length: requests }), 8, async () => {
    const { body, status } = await infer(url);
    return status === 200 ? body['model_version'] : body;
  });
}

const isAll = (versions: readonly unknown[], version: string): boolean =>
  versions.every((each) => each === version);

async function index(url: string): Promise<ReadonlyMap<string, { state: string; reason: string }>> {
  const response = await fetch(`${url}/v2/repository/index`, { method: 'POST' });
  const rows = (await response.json()) as { version: string; state: string; reason: string }[];
  return new Map(rows.map((row) => [row.version, row]));
}

/** Clients that ask without a pause until they are stopped; what they were told, in the order of the answers. */
function askAllTheTime(url: string, clients: number) {
  const versions: string[] = [];
  const failed: unknown[] = [];
  const stop = new AbortController();
  const client = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const { body, status } = await infer(url).catch((cause: unknown) => ({
        status: 0,
        body: { cause: String(cause) } as Record<string, unknown>,
      }));
      if (status === 200) versions.push(String(body['model_version']));
      else failed.push({ status, body });
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  return {
    versions,
    failed,
    async stop(): Promise<void> {
      stop.abort();
      await all;
    },
  };
}

describe('a gateway and two workers that look for changes', () => {
  let system: System;
  let gateway: RunningRole;
  let workers: readonly RunningRole[];

  beforeAll(async () => {
    system = await System.open({}, { INFERRY_MODELS_POLL_MS: '100' });
  });
  beforeEach(async () => {
    await publish('1');
    await writeFile(join(models, 'm', 'versions.yaml'), 'policy: {latest: 1}\n');
    [gateway, ...workers] = await Promise.all([
      system.start('gateway', models),
      system.start('worker', models),
      system.start('worker', models),
    ]);
  }, 60_000);
  afterAll(() => system.stop());

  test('go over to a new version under load without a failed request, and stay with it when the next is broken', async () => {
    const load = askAllTheTime(gateway.url, 6);
    await waitFor(() => load.versions.length > 50, { what: 'load', timeoutMs });
    await publish('2');
    await waitFor(() => load.versions.length > 100 && isAll(load.versions.slice(-60), '2'), {
      what: 'answers of version 2 alone',
      timeoutMs,
    });
    await waitFor(async () => !(await index(gateway.url)).has('1'), {
      what: 'the end of version 1',
      timeoutMs,
    });
    expect((await infer(gateway.url, '/versions/1')).body).toMatchObject({
      code: 'model_version_not_found',
    });

    // It can be read, and not be loaded: the operator is one that nobody has.
    const broken = (await readFile(onnx)).toString('latin1').replace('Identity', 'Identitx');
    await publish('3', Buffer.from(broken, 'latin1'));
    const failed = await waitFor(
      async () => {
        const row = (await index(gateway.url)).get('3');
        return row?.state === 'UNAVAILABLE' && row.reason.includes('Identitx') ? row : null;
      },
      { what: 'the reason in the index', timeoutMs },
    );
    expect(failed.reason).toContain('Identitx');
    await publish('4', Buffer.from('no model'));
    await waitFor(
      async () => (await index(gateway.url)).get('4')?.reason.startsWith('model.onnx: '),
      {
        what: 'the reason of what cannot be read',
        timeoutMs,
      },
    );
    expect((await index(gateway.url)).get('2')?.state).toBe('READY');
    expect(isAll(await answeredBy(gateway.url, 10), '2')).toBe(true);

    // Whoever is started now serves what was served: the latest cannot be read, and the one before not be loaded.
    const [another] = await Promise.all([
      system.start('gateway', models),
      system.start('worker', models),
    ]);
    await Promise.all(workers.map(({ process }) => process.stop()));
    expect(isAll(await answeredBy(another.url, 10), '2')).toBe(true);
    await waitFor(
      async () => {
        const told = await index(another.url);
        const states = ['2', '3', '4'].map((version) => told.get(version)?.state);
        return states.join() === 'READY,UNAVAILABLE,UNAVAILABLE';
      },
      { what: 'what became of each version', timeoutMs },
    );

    // Put right in its place.
    await rm(join(models, 'm', '4'), { recursive: true });
    await rm(join(models, 'm', '3'), { recursive: true });
    await publish('3');
    await waitFor(() => isAll(load.versions.slice(-60), '3'), {
      what: 'answers of version 3 alone',
      timeoutMs,
    });
    await load.stop();
    expect(load.failed).toEqual([]);
    // Whoever was told of 2 was never told of 1 again, but for requests that had begun before.
    const firstOf2 = load.versions.indexOf('2');
    expect(load.versions.slice(firstOf2 + 60)).not.toContain('1');
  }, 120_000);
});

describe('one process that looks for no changes', () => {
  let system: System;
  let server: AppProcess;
  let url = '';

  beforeAll(async () => {
    system = await System.open();
  });
  beforeEach(async () => {
    await publish('1');
    await publish('2');
    server = startProcess(['serve', models], {
      env: {
        REDIS_URL: system.redis.url,
        PORT: '0',
        METRICS_PORT: '0',
        INFERRY_MODELS_POLL_MS: '0',
      },
    });
    ({ url } = await readiness(server, 'serve'));
  }, 60_000);
  afterEach(() => server.stop());
  afterAll(() => system.stop());

  /** A command of an operator, and the signal that makes it count. */
  async function command(...argv: readonly string[]): Promise<void> {
    const process = startProcess(['models', ...argv, '--models', models]);
    expect(await process.exit, process.lines.join('\n')).toMatchObject({ code: 0 });
    server.kill('SIGHUP');
  }

  test('takes up versions, labels, shares and a rollback on SIGHUP', async () => {
    expect(await answeredBy(url, 5)).toEqual(Array(5).fill('2'));
    await publish('3');
    server.kill('SIGHUP');
    await waitFor(async () => isAll(await answeredBy(url, 5), '3'), {
      what: 'version 3',
      timeoutMs,
    });

    await command('label', 'm@1', 'canary');
    await waitFor(async () => (await infer(url, '/versions/canary')).status === 200, {
      what: 'the label',
      timeoutMs,
    });
    expect((await infer(url, '/versions/canary')).body['model_version']).toBe('1');
    expect((await call(`${url}/v1/models/m/labels/canary`)).status).toBe(200);

    await command('traffic', 'm', '2=80', '3=20');
    await waitFor(async () => (await answeredBy(url, 10)).includes('2'), {
      what: 'shares',
      timeoutMs,
    });
    const drawn = await answeredBy(url, 300);
    const of3 = drawn.filter((version) => version === '3').length;
    expect(drawn.every((version) => version === '2' || version === '3')).toBe(true);
    // Of 300 with one in five: 60, give or take five standard deviations.
    expect(of3).toBeGreaterThan(25);
    expect(of3).toBeLessThan(95);

    await command('rollback', 'm');
    await waitFor(async () => isAll(await answeredBy(url, 20), '2'), {
      what: 'the rollback',
      timeoutMs,
    });
    await command('rollback', 'm');
    await waitFor(async () => isAll(await answeredBy(url, 20), '3'), {
      what: 'the way forward',
      timeoutMs,
    });
  }, 120_000);
});
