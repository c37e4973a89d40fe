/** `inferry tune` as a user runs it: on a copy of a demo model. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { repositoryPath, startProcess, startRedisServer } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

const samples = repositoryPath('models/digits/samples');
let models: string;

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-tune-'));
  await cp(repositoryPath('models/digits'), join(models, 'digits'), { recursive: true });
});

afterEach(() => rm(models, { recursive: true, force: true }));

async function tune(
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = startProcess(['tune', ...words, '--models', models], { env });
  const { code } = await child.exit;
  return { code, output: child.lines.join('\n') };
}

test('tune measures digits through its pipeline; a worker starts with the settings and the curve it wrote', async () => {
  await using redis = await startRedisServer();
  const env = { REDIS_URL: redis.url };
  const before = await readFile(join(models, 'digits/model.yaml'), 'utf8');
  const words = ['--latency-target', '2000', '--max-batch', '4', '--max-seconds', '3'];
  const { code, output } = await tune(['digits', '--input', samples, ...words, '--write'], env);
  expect(output).toMatch(/^Best: max_batch_size [1-4], \d+ instances? of \d+ thread/mu);
  expect(output).toMatch(/2 inputs, prepared/u);
  expect(code).toBe(0);

  const after = await readFile(join(models, 'digits/model.yaml'), 'utf8');
  expect(after.split('\n')[0]).toBe(before.split('\n')[0]);
  const kept = before.split('\n').filter((line) => !line.startsWith('max_batch_size'));
  expect(after.split('\n')).toEqual(expect.arrayContaining(kept));
  const { models: read, problems } = await loadRepository(models);
  expect(problems).toEqual([]);
  const [, batch, instances, threads] =
    /Best: max_batch_size (\d+), (\d+) instances? of (\d+) thread/u.exec(output) ?? [];
  expect(read[0]).toMatchObject({
    maxBatchSize: Number(batch),
    latencyTargetMs: 2_000,
    instances: [{ kind: 'cpu', count: Number(instances) }],
    session: { intraOpThreads: Number(threads) },
  });

  await using worker = startProcess(['worker', '--models', models, '--metrics-port', '0'], { env });
  const line = await worker.waitForLine(
    /the size of batches begins from a stored profile/u,
    60_000,
  );
  const { stored_sizes: sizes } = JSON.parse(line) as { readonly stored_sizes: number };
  expect(sizes).toBeGreaterThanOrEqual(Number(batch) > 2 ? 3 : 1);
});

test('a decoder that was asked for and is not there is told once, in words', async () => {
  // The dynamic linker looks there first, and finds a library that is none.
  await writeFile(join(models, 'libturbojpeg.so.0'), '');
  const env = { INFERRY_JPEG_DECODER: 'turbojpeg', LD_LIBRARY_PATH: models };
  const { code, output } = await tune(['digits', '--input', samples, '--max-seconds', '1'], env);
  expect(output.match(/libjpeg-turbo cannot be loaded/gu)).toHaveLength(1);
  expect(output).not.toMatch(/^ +at /mu);
  expect(code).toBe(1);
});

test('a target that nothing keeps is told with the sum, and nothing is written', async () => {
  const before = await readFile(join(models, 'digits/model.yaml'), 'utf8');
  const words = ['--latency-target', '2', '--max-seconds', '1', '--write'];
  const { code, output } = await tune(['digits', ...words]);
  expect(output).toMatch(/Infeasible: no setting answers one row within 2 ms\. .* \+ 2 ms = /u);
  expect(code).toBe(1);
  expect(await readFile(join(models, 'digits/model.yaml'), 'utf8')).toBe(before);
});
