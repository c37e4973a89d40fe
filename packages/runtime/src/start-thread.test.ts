import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startThread } from './start-thread.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'inferry-thread-'));
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function source(name: string, text: string): Promise<URL> {
  const file = join(directory, name);
  await writeFile(file, text);
  return pathToFileURL(file);
}

test('a thread starts from TypeScript source, imports more of it, and answers', async () => {
  const imported = JSON.stringify(new URL('./result.ts', import.meta.url).href);
  const thread = startThread(
    await source(
      'double.ts',
      `import { parentPort, workerData } from 'node:worker_threads';
       import { ok, type Result } from ${imported};
       const factor: number = workerData.factor;
       parentPort?.on('message', (given: number) => {
         const answer: Result<number, string> = ok(given * factor);
         parentPort?.postMessage(answer);
       });`,
    ),
    { workerData: { factor: 2 } },
  );
  thread.postMessage(21);
  expect(await once(thread, 'message')).toEqual([{ ok: true, value: 42 }]);
  await thread.terminate();
});

test('a thread whose file fails to load says so as an error of the thread', async () => {
  const thread = startThread(
    await source('broken.ts', `throw new Error('cannot load' as string);`),
  );
  const [cause] = (await once(thread, 'error')) as [Error];
  expect(cause.message).toBe('cannot load');
});
