/**
 * Load by ApacheBench (`ab`), the generator of the published figures: one process beside the servers, a
 * new connection for each request, so many requests open at a time.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { registerLive } from '@inferry/testkit';

export interface Target {
  readonly url: string;
  /** Beside `Content-Type: application/json`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The file that is the body of every request. */
  readonly bodyFile: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Broken exchanges, and answers whose status is not 2xx. */
  readonly failed: number;
}

/** No answer for so long: ab gives the run up. */
const patienceS = 60;
const runMaxMs = 600_000;

/** Sends `requests` requests, `connections` at a time. Throws when ab is missing or gives up, with its words. */
export async function load(
  { url, headers, bodyFile }: Target,
  { requests, connections }: { readonly requests: number; readonly connections: number },
): Promise<LoadResult> {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-ab-'));
  const percentiles = join(directory, 'percentiles.csv');
  try {
    const extra = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    // ab takes no more connections than requests.
    const open = Math.min(connections, requests);
    const args = `-q -l -s ${patienceS} -n ${requests} -c ${open} -T application/json`;
    const files = ['-p', bodyFile, '-e', percentiles];
    const summary = await runAb([...args.split(' '), ...files, ...extra, url]);
    return parseLoad(summary, await readFile(percentiles, 'utf8'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What ab printed, and the file of its option -e, as figures. Throws when one of them is missing. */
export function parseLoad(summary: string, percentiles: string): LoadResult {
  const counted = (label: string): number => {
    const found = new RegExp(`^${label}:\\s+([\\d.]+)`, 'mu').exec(summary)?.[1];
    if (found === undefined) throw new Error(`ab printed no "${label}":\n${summary}`);
    return Number(found);
  };
  const percentile = (percent: number): number => {
    const found = new RegExp(`^${percent},([\\d.]+)$`, 'mu').exec(percentiles)?.[1];
    if (found === undefined)
      throw new Error(`ab wrote no ${percent}th percentile:\n${percentiles}`);
    return Number(found);
  };
  const longest = /^\s*100%\s+(\d+)/mu.exec(summary)?.[1];
  return {
    requests: counted('Complete requests'),
    perSecond: counted('Requests per second'),
    p50Ms: percentile(50),
    p99Ms: percentile(99),
    // ab leaves the table out when there was one request.
    maxMs: longest === undefined ? percentile(99) : Number(longest),
    // The line of other statuses is there only when there were some.
    failed:
      counted('Failed requests') +
      (summary.includes('Non-2xx responses:') ? counted('Non-2xx responses') : 0),
  };
}

async function runAb(args: readonly string[]): Promise<string> {
  const child = spawn('ab', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: runMaxMs });
  const unregister = registerLive('ab', () => child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      reject(cause.code === 'ENOENT' ? new Error(missing) : cause);
    });
    child.once('close', resolve);
  });
  try {
    const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (code !== 0) throw new Error(`ab ended with ${code}: ${errors.trim()}`);
    return out;
  } finally {
    unregister();
  }
}

const missing =
  'ab (ApacheBench) is not installed. Debian, Ubuntu: apt-get install apache2-utils; ' +
  'Fedora: dnf install httpd-tools; macOS has it.';
