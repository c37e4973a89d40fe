import { expect, test } from 'vitest';
import { parseLoad } from './apache-bench.ts';

/** What ab 2.3 printed for 300 requests, without its lines on the document and the transfer. */
const summary = `
Server Software:        
Server Hostname:        127.0.0.1
Server Port:            8101

Concurrency Level:      50
Time taken for tests:   2.511 seconds
Complete requests:      300
Failed requests:        0
Total transferred:      46200 bytes
Requests per second:    119.45 [#/sec] (mean)
Time per request:       418.571 [ms] (mean)
Time per request:       8.371 [ms] (mean, across all concurrent requests)

Percentage of the requests served within a certain time (ms)
  50%    415
  99%    807
 100%    979 (longest request)
`;
const percentiles = `Percentage served,Time in ms
0,20.112
5,108.250
50,415.021
99,807.914
`;

test('the figures of ab are read from its summary and its file of percentiles', () => {
  expect(parseLoad(summary, percentiles)).toEqual({
    requests: 300,
    perSecond: 119.45,
    p50Ms: 415.021,
    p99Ms: 807.914,
    maxMs: 979,
    failed: 0,
  });
});

test('broken exchanges and answers of another status are failures', () => {
  const bad = summary.replace(
    'Failed requests:        0',
    'Failed requests:        3\n   (Connect: 0, Receive: 3, Length: 0, Exceptions: 0)\nNon-2xx responses:      17',
  );
  expect(parseLoad(bad, percentiles).failed).toBe(20);
});

test('a summary that lacks a figure is an error that names it', () => {
  const cut = summary.replace(/^Requests per second.*$/mu, '');
  expect(() => parseLoad(cut, percentiles)).toThrow('ab printed no "Requests per second"');
  expect(() => parseLoad(summary, '0,20.112\n')).toThrow('ab wrote no 50th percentile');
});
