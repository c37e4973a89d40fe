import { VirtualClock } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';
import { describe, expect, test } from 'vitest';
import { type Child, supervise } from './supervisor.ts';

type ChildEnd = Parameters<Parameters<Child['onEnd']>[0]>[0];

const crash: ChildEnd = { code: null, signal: 'SIGSEGV' };

function nothing(): void {}

function fixture(beforeStart: () => void = nothing) {
  const clock = new VirtualClock();
  const lines: LogFields[] = [];
  const signals: string[] = [];
  let end: (ended: ChildEnd) => void = nothing;
  let starts = 0;
  const logger: Logger = {
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields) => void lines.push(fields),
    fatal: () => undefined,
    child: () => logger,
  };
  const supervisor = supervise({
    clock,
    logger,
    stopMsMax: 30_000,
    start: () => {
      beforeStart();
      starts += 1;
      return {
        pid: 1_000 + starts,
        kill: (signal) => void signals.push(signal),
        onEnd: (report) => {
          end = report;
        },
      };
    },
  });
  return {
    clock,
    lines,
    signals,
    supervisor,
    starts: () => starts,
    end: (ended: ChildEnd) => end(ended),
  };
}

describe('a child that ends by itself', () => {
  test('well, ends the whole well', async () => {
    const { supervisor, end } = fixture();
    end({ code: 0, signal: null });
    expect(await supervisor.ended).toBe(0);
  });

  test('because it cannot be configured, is not started again', async () => {
    const { supervisor, end, starts } = fixture();
    end({ code: 2, signal: null });
    expect(await supervisor.ended).toBe(2);
    expect(starts()).toBe(1);
  });

  test('by a crash, is started again with a log line', async () => {
    const { clock, lines, end, starts } = fixture();
    end(crash);
    expect(lines).toEqual([
      { child_pid: 1_001, code: null, signal: 'SIGSEGV', restarts: 1, restart_in_ms: 100 },
    ]);
    await clock.advance(99);
    expect(starts()).toBe(1);
    await clock.advance(1);
    expect(starts()).toBe(2);
  });

  test('again and again, is started after pauses that double up to five seconds', async () => {
    const { clock, lines, end } = fixture();
    for (let i = 0; i < 8; i += 1) {
      end({ code: 1, signal: null });
      await clock.advance(5_000);
    }
    expect(lines.map((line) => line['restart_in_ms'])).toEqual([
      100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000,
    ]);
  });

  test('before it began, because the system has no room for it, is started again', async () => {
    const cause = new Error('spawn ENOMEM');
    let failures = 2;
    const { clock, lines, starts, supervisor } = fixture(() => {
      failures -= 1;
      if (failures >= 0) throw cause;
    });
    await clock.advance(100 + 200);
    expect(lines).toEqual([
      { err: cause, code: null, signal: null, restarts: 1, restart_in_ms: 100 },
      { err: cause, code: null, signal: null, restarts: 2, restart_in_ms: 200 },
    ]);
    expect(starts()).toBe(1);
    supervisor.stop('SIGTERM');
  });

  test('after a good life, is started again quickly', async () => {
    const { clock, lines, end } = fixture();
    end(crash);
    await clock.advance(100);
    end(crash);
    await clock.advance(200 + 60_000);
    end(crash);
    expect(lines.map((line) => line['restart_in_ms'])).toEqual([100, 200, 100]);
  });
});

describe('a stop', () => {
  test('is forwarded, and the code of the child is that of the whole', async () => {
    const { supervisor, signals, end, starts } = fixture();
    supervisor.stop('SIGTERM');
    expect(signals).toEqual(['SIGTERM']);
    end({ code: 0, signal: null });
    expect(await supervisor.ended).toBe(0);
    expect(starts()).toBe(1);
  });

  test('by a terminal that closes is told to a child without one in another way', async () => {
    const { supervisor, signals, end } = fixture();
    supervisor.stop('SIGHUP');
    expect(signals).toEqual(['SIGTERM']);
    end({ code: null, signal: 'SIGTERM' });
    expect(await supervisor.ended).toBe(0);
  });

  test('never leads to a restart, however the child ends', async () => {
    const { clock, supervisor, end, starts } = fixture();
    supervisor.stop('SIGINT');
    end({ code: 1, signal: null });
    await clock.advance(60_000);
    expect(await supervisor.ended).toBe(1);
    expect(starts()).toBe(1);
  });

  test('of a child that did not listen yet is a clean one', async () => {
    const { supervisor, end } = fixture();
    supervisor.stop('SIGTERM');
    end({ code: null, signal: 'SIGTERM' });
    expect(await supervisor.ended).toBe(0);
  });

  test('asked for twice is forwarded twice, and ends a deaf child after a second', async () => {
    const { clock, supervisor, signals, end } = fixture();
    supervisor.stop('SIGTERM');
    supervisor.stop('SIGTERM');
    expect(signals).toEqual(['SIGTERM', 'SIGTERM']);
    await clock.advance(1_000);
    expect(signals).toEqual(['SIGTERM', 'SIGTERM', 'SIGKILL']);
    end({ code: null, signal: 'SIGKILL' });
    expect(await supervisor.ended).toBe(137);
  });

  test('that the child does not follow in time ends it, as a failure', async () => {
    const { clock, supervisor, signals, end } = fixture();
    supervisor.stop('SIGTERM');
    await clock.advance(30_000);
    expect(signals).toEqual(['SIGTERM', 'SIGKILL']);
    end({ code: null, signal: 'SIGKILL' });
    expect(await supervisor.ended).toBe(1);
  });

  test('between two lives ends at once', async () => {
    const { clock, supervisor, end, starts } = fixture();
    end(crash);
    supervisor.stop('SIGTERM');
    expect(await supervisor.ended).toBe(0);
    await clock.advance(60_000);
    expect(starts()).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });
});
