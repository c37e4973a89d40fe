import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { orderModel } from './order.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** A gateway that answers so; `asked` is what came. */
async function gateway(
  status: number,
  body: string,
): Promise<{ readonly url: string; readonly asked: (string | undefined)[] }> {
  const asked: (string | undefined)[] = [];
  const listening = createServer(({ method, url }, response) => {
    asked.push(method, url);
    response.writeHead(status).end(body);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, asked };
}

const wordsFor = (model: string, url: string) => ({
  operands: [model],
  flags: new Map([['url', url]]),
});

test('an order is given to the gateway that is named, and told when it is carried out', async () => {
  const { asked, url } = await gateway(200, '');
  const told = await orderModel('unload', wordsFor('iris', `${url}/`));
  expect(told).toEqual({ ok: true, value: { data: 'unloaded iris\n', remarks: '', exitCode: 0 } });
  expect(asked).toEqual(['POST', '/v2/repository/models/iris/unload']);
});

test('an order that is refused, or that nobody takes, exits with 1 and says why', async () => {
  const { url } = await gateway(400, '{"detail":"1 of 1 workers could not"}');
  const refused = await orderModel('load', wordsFor('iris', url));
  expect(refused).toMatchObject({ value: { exitCode: 1 } });
  expect(JSON.stringify(refused)).toContain('iris was not loaded: 1 of 1 workers could not');
  server?.close();
  const away = await orderModel('load', wordsFor('iris', 'http://127.0.0.1:1'));
  expect(JSON.stringify(away)).toContain('ECONNREFUSED');
});

test('what is no name, and what is no address, is an error of usage', async () => {
  expect(await orderModel('load', wordsFor('iris@1', 'http://127.0.0.1:1'))).toMatchObject({
    ok: false,
  });
  expect(await orderModel('load', wordsFor('iris', 'ftp://h'))).toMatchObject({
    error: '--url must be an http:// or https:// address without a query',
  });
});
