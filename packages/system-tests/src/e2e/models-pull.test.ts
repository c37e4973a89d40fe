import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProcess, waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { demoModels } from '../system.ts';

const sentFirst = 300;

test('a pull that was killed half way is gone on with by the next, and the model is listed', async () => {
  const bytes = await readFile(join(demoModels, 'iris', '1', 'model.onnx'));
  const asked: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers }, response) => {
    asked.push(headers);
    const etag = { etag: '"1"' };
    if (headers.range === undefined) {
      // Nothing follows, until the client is gone.
      response.writeHead(200, { ...etag, 'content-length': bytes.length });
      response.write(bytes.subarray(0, sentFirst));
      return;
    }
    const range = `bytes ${sentFirst}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { ...etag, 'content-range': range }).end(bytes.subarray(sentFirst));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const models = await mkdtemp(join(tmpdir(), 'inferry-pull-'));
  const digest = createHash('sha256').update(bytes).digest('hex');
  const url = `http://127.0.0.1:${port}/flowers.onnx`;
  const pull = ['models', 'pull', url, '--sha256', digest, '--models', models];
  try {
    await using first = startProcess(pull);
    const partial = join(models, '.inferry', 'partial');
    await waitFor(
      async () => {
        const name = (await readdir(partial)).find((one) => one.endsWith('.partial'));
        return name !== undefined && (await stat(join(partial, name))).size === sentFirst;
      },
      { timeoutMs: 30_000, what: 'the first half on disk' },
    );
    first.killTree('SIGKILL');
    await first.exit;
    await using empty = startProcess(['models', 'list', '--models', models]);
    expect(await empty.exit).toMatchObject({ code: 2 });
    await using second = startProcess(pull);
    expect({ ...(await second.exit), lines: second.lines }).toEqual({
      code: 0,
      signal: null,
      lines: [join(models, 'flowers', '1'), `sha256 ${digest}`],
    });
    expect(asked.map(({ range }) => range)).toEqual([undefined, `bytes=${sentFirst}-`]);
    await using list = startProcess(['models', 'list', '--models', models]);
    expect(await list.exit).toMatchObject({ code: 0 });
    expect(list.lines[1]).toMatch(/^flowers +1 +plain +634 +[0-9a-f]{12} +- +-$/u);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
    await rm(models, { recursive: true });
  }
});
