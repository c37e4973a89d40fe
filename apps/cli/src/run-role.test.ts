import { err, ok, seededRandom, VirtualClock } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';
import type { RoleDeps, StartRole } from './roles/role.ts';
import { drainGraceMs, runRole } from './run-role.ts';

function nothing(): void {}

function fixture(start: StartRole) {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const note = (_fields: object, message: string): void => void logged.push(message);
  const logger: Logger = {
    trace: note,
    debug: note,
    info: note,
    warn: note,
    error: note,
    fatal: note,
    child: () => logger,
  };
  let kills = 0;
  let request: (reason: string) => void = nothing;
  const requested = new Promise<string>((resolve) => {
    request = resolve;
  });
  const deps: RoleDeps = {
    logger,
    clock,
    random: seededRandom(1),
    version: '0.0.0',
    pid: 1,
    hostName: 'test',
    visibleGpus: null,
    kill: () => {
      kills += 1;
    },
    abort: () => undefined,
    print: () => undefined,
  };
  const config = parseConfig('serve', { env: {}, flags: new Map(), directory: 'models' });
  if (!config.ok) throw new Error('the defaults are not accepted');
  const ready: object[] = [];
  const ended = runRole(start, {
    config: config.value,
    deps,
    stop: { requested },
    onReady: (ports) => void ready.push(ports),
  });
  return { clock, logged, ready, ended, request, kills: () => kills, config: config.value };
}

function running(drain: () => Promise<void>) {
  return { httpPort: 1, grpcPort: 3, metricsPort: 2, drain };
}

test('a role that is asked to stop drains and ends with 0', async () => {
  const { ended, request, logged, ready } = fixture(() =>
    Promise.resolve(ok(running(() => Promise.resolve()))),
  );
  request('SIGTERM');
  expect(await ended).toBe(0);
  expect(ready).toEqual([{ http: 1, metrics: 2 }]);
  expect(logged).toEqual(['configuration', 'ready', 'draining', 'drained']);
});

test('a role that cannot start says why and ends with 2', async () => {
  const { ended, logged } = fixture(() => Promise.resolve(err(['no such model'])));
  expect(await ended).toBe(2);
  expect(logged).toEqual(['configuration', 'no such model']);
});

test('a stop during the start waits for it and drains what was started', async () => {
  let isDrained = false;
  let finishStart: () => void = nothing;
  const drain = (): Promise<void> => {
    isDrained = true;
    return Promise.resolve();
  };
  const { ended, request, ready } = fixture(
    () =>
      new Promise((resolve) => {
        finishStart = () => resolve(ok(running(drain)));
      }),
  );
  request('SIGTERM');
  finishStart();
  expect(await ended).toBe(0);
  expect([isDrained, ready.length]).toEqual([true, 0]);
});

test('a drain that does not end is broken off after its time and the grace', async () => {
  const { clock, ended, request, kills, config } = fixture(() =>
    Promise.resolve(ok(running(() => new Promise(() => undefined)))),
  );
  request('SIGTERM');
  await clock.advance(0);
  await clock.advance(config.limits.drainMs + drainGraceMs - 1);
  expect(kills()).toBe(0);
  await clock.advance(1);
  expect(await ended).toBe(1);
  expect(kills()).toBe(1);
});

test('a drain that fails is told and ends with 1', async () => {
  const { ended, request, logged } = fixture(() =>
    Promise.resolve(ok(running(() => Promise.reject(new Error('close failed'))))),
  );
  request('SIGTERM');
  expect(await ended).toBe(1);
  expect(logged.at(-1)).toBe('draining failed');
});
