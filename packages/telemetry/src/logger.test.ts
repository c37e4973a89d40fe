import { expect, test } from 'vitest';
import { createLogger, type LogLevel, type Logger } from './logger.ts';

function capturing(level: LogLevel = 'info'): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { log: createLogger({ role: 'worker', level, destination }), lines };
}

test('a line is a JSON object with the level as a word and the time in ISO 8601', () => {
  const { log, lines } = capturing();
  log.info({ model: 'iris', run_ms: 1.5 }, 'a batch ran');
  expect(lines).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u),
      role: 'worker',
      pid: process.pid,
      model: 'iris',
      run_ms: 1.5,
      msg: 'a batch ran',
    },
  ]);
});

test('a child adds its fields to every line', () => {
  const { log, lines } = capturing();
  log.child({ request_id: 'req_1' }).child({ job_id: 'job_1' }).warn({}, 'retried');
  expect(lines[0]).toMatchObject({ level: 'warn', request_id: 'req_1', job_id: 'job_1' });
});

test('levels below the chosen one are not written, and silent writes nothing', () => {
  const quiet = capturing('warn');
  quiet.log.debug({}, 'x');
  quiet.log.info({}, 'x');
  quiet.log.error({}, 'y');
  expect(quiet.lines.map((line) => line['level'])).toEqual(['error']);
  const silent = capturing('silent');
  silent.log.fatal({}, 'z');
  expect(silent.lines).toEqual([]);
});

test('an error under err keeps its type, message and stack', () => {
  const { log, lines } = capturing();
  log.error({ err: new TypeError('broken') }, 'failed');
  expect(lines[0]?.['err']).toMatchObject({
    type: 'TypeError',
    message: 'broken',
    stack: expect.stringContaining('logger.test'),
  });
});

test('secrets are blanked at every depth a log line has; an address loses only its password', () => {
  const { log, lines } = capturing();
  log.info(
    {
      authorization: 'Bearer abc',
      request: { headers: { cookie: 'session=abc', accept: '*/*' } },
      config: { redis_url: 'redis://user:hunter2@example.com:6379/0', token: 'abc' },
    },
    'started',
  );
  const text = JSON.stringify(lines);
  expect(text).not.toMatch(/abc|hunter2/u);
  expect(text).toContain('redis://user:redacted@example.com:6379/0');
  expect(text).toContain('*/*');
});
