import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { openCpuReader } from './cpu.ts';
import { fakeServer, type ScriptedAnswer } from './http.fixture.ts';

test('the CPU time of each process that tells it is read, the others are named once', async () => {
  const clock = new VirtualClock();
  let seconds = 1;
  const answers: Readonly<Record<string, () => ScriptedAnswer>> = {
    '/metrics': () => ({ body: `# HELP x\nprocess_cpu_seconds_total ${seconds}\nother 5\n` }),
    '/labels': () => ({ body: 'process_cpu_seconds_total{job="a"} 2\n' }),
    '/none': () => ({ body: 'other 5\n' }),
    '/forbidden': () => ({ status: 403 }),
    '/away': () => ({ fault: { code: 'ECONNREFUSED', detail: 'nothing listens there' } }),
  };
  const http = fakeServer(clock, ({ path }) => answers[path]?.() ?? { status: 404 });
  const urls = Object.keys(answers).map((path) => new URL(`http://h:9464${path}`));
  const reader = await openCpuReader(urls, { http, ownCpuMs: () => 7 });
  expect(reader.urls.map(({ pathname }) => pathname)).toEqual(['/metrics', '/labels']);
  expect(reader.remarks).toEqual([
    'no CPU time from http://h:9464/none: there is no process_cpu_seconds_total',
    'no CPU time from http://h:9464/forbidden: status 403',
    'no CPU time from http://h:9464/away: nothing listens there',
  ]);
  seconds = 1.5;
  expect(await reader.read()).toEqual({ client: 7, servers: [1_500, 2_000] });
});

test('a process that stops answering is not known from then on, and nobody waits for it for long', async () => {
  const clock = new VirtualClock();
  let afterMs = 0;
  const http = fakeServer(clock, () => ({ body: 'process_cpu_seconds_total 1\n', afterMs }));
  const opening = openCpuReader([new URL('http://h/metrics')], { http, ownCpuMs: () => 0 });
  await clock.advance(0);
  const reader = await opening;
  afterMs = 1_000_000;
  const reading = reader.read();
  await clock.advance(2_000);
  expect(await reading).toEqual({ client: 0, servers: [null] });
});
