import { expect, test } from 'vitest';
import { bad, doubtful, fine, leftOut } from './check.ts';
import { nodeFinding } from './machine.ts';
import { doctorJson, doctorText } from './report.ts';

test('each finding is a line, with what to do below it, and the end sums up', () => {
  const findings = [
    fine('Node.js', '20.19.0'),
    doubtful('Redis memory', 'no limit', 'set maxmemory'),
    leftOut('Models', 'none given', 'name one'),
    bad('Redis', 'away', 'start it'),
  ];
  expect(doctorText(findings).split('\n')).toEqual([
    'ok    Node.js       20.19.0',
    'warn  Redis memory  no limit',
    '                    -> set maxmemory',
    '-     Models        none given',
    '                    -> name one',
    'FAIL  Redis         away',
    '                    -> start it',
    '',
    'Not ready to serve: 1 ok, 1 to look at, 1 failed.',
    '',
  ]);
  expect(JSON.parse(doctorJson(findings))).toEqual({ fit: false, findings });
});

test('what is only doubtful or left out does not keep from serving', () => {
  const findings = [fine('a', 'b'), doubtful('c', 'd', 'e'), leftOut('f', 'g', 'h')];
  expect(doctorText(findings)).toContain('Ready to serve: 1 ok, 1 to look at, 0 failed.');
});

test.each([
  ['20.19.0', 'fine'],
  ['24.1.0', 'fine'],
  ['20.18.9', 'bad'],
  ['18.20.0', 'bad'],
])('Node.js %s is %s', (version, verdict) => {
  expect(nodeFinding(version).verdict).toBe(verdict);
});
