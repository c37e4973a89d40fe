import { expect, test } from 'vitest';
import { adviceFor, adviceJson, adviceText } from './advice.ts';

const policy = { min: 0, max: 10, drainTargetSeconds: 30, utilization: 0.7 };
const demand = (backlogSeconds: number, loadWorkers: number) => [
  { queue: 'iris@1', backlogSeconds, loadWorkers: loadWorkers / 2 },
  { queue: 'digits@2', backlogSeconds: 0, loadWorkers: loadWorkers / 2 },
];

test.each([
  [180, 2.25, 6, 'backlog'],
  [24, 2.25, 4, 'load'],
  [0.001, 0, 1, 'backlog'],
  [0, 0, 0, 'idle'],
  [3_000, 0, 10, 'max'],
] as const)('%d s of backlog and a load of %d want %d: %s', (backlog, load, workers, reason) => {
  expect(adviceFor(demand(backlog, load), policy)).toMatchObject({ workers, reason });
});

test('what is wanted below the bound is told', () => {
  const advice = adviceFor(demand(0, 0), { ...policy, min: 2 });
  expect(advice).toMatchObject({ workers: 2, reason: 'min', forBacklog: 0, forLoad: 0 });
});

test('the document has both numbers, the bounds, and each queue', () => {
  const queues = demand(180, 2.25);
  expect(adviceJson(adviceFor(queues, policy), policy, queues)).toEqual({
    workers: 6,
    reason: 'backlog',
    backlog_seconds: 180,
    load_workers: 2.25,
    workers_for_backlog: 6,
    workers_for_load: 4,
    min: 0,
    max: 10,
    drain_target_seconds: 30,
    utilization: 0.7,
    queues: [
      { queue: 'iris@1', backlog_seconds: 180, load_workers: 1.125 },
      { queue: 'digits@2', backlog_seconds: 0, load_workers: 1.125 },
    ],
  });
});

test('the words have the numbers', () => {
  const queues = demand(3_000, 2.25);
  expect(adviceText(adviceFor(queues, policy), policy, queues).split('\n')).toEqual([
    'queues: iris@1, digits@2',
    "backlog: 3,000 s of one worker's time wait; to be through in 30 s takes 100",
    'load: what arrives keeps 2.25 workers busy; at 70 % each that takes 4',
    '10 wanted: never more (--max)',
    '',
  ]);
});
