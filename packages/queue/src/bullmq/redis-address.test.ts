import { expect, test } from 'vitest';
import { redisAddress } from './redis-address.ts';

test.each([
  ['redis://host', { host: 'host', port: 6379, isTls: false }, ['', '', 0]],
  [
    'redis://:p%40ss@10.0.0.1:7000/3',
    { host: '10.0.0.1', port: 7000, isTls: false },
    ['', 'p@ss', 3],
  ],
  ['rediss://u:p@[::1]:7000', { host: '::1', port: 7000, isTls: true }, ['u', 'p', 0]],
  ['unix:///run/redis%20a/r.sock', { path: '/run/redis a/r.sock' }, ['', '', 0]],
  ['unix:///r.sock?db=2&username=u&password=p%26', { path: '/r.sock' }, ['u', 'p&', 2]],
] as const)('%s', (url, at, [username, password, database]) => {
  expect(redisAddress(url)).toEqual({ at, username, password, database });
});
