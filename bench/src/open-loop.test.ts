import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { openLoop } from './open-loop.ts';

test('requests go out while earlier ones are not answered, and each answer or lack of one is kept', async () => {
  const held: (() => void)[] = [];
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    if (asked === 1) request.socket.destroy();
    else held.push(() => response.end('{"model_name":"m","model_version":"7"}'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const load = openLoop({ url: `http://127.0.0.1:${port}/`, body: '{}', perSecond: 100 });
  await waitFor(() => held.length >= 5, { what: 'five requests at a time' });
  const stopped = load.stop();
  await waitFor(() => {
    for (const answer of held.splice(0)) answer();
    return load.exchanges.length === asked && asked > 5;
  });
  await stopped;
  server.close();
  const versions = new Set(load.exchanges.map(({ status, version }) => `${status} ${version}`));
  expect([...versions].toSorted()).toEqual(['0 ', '200 7']);
  expect(load.exchanges.every(({ ms }) => ms > 0)).toBe(true);
});
