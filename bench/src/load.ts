/**
 * Runs a load test of k6/ and ends with its verdict. Without BASE_URL it starts Redis, a gateway and two workers with
 * a model that suits the script, on free ports.
 *
 *     npm run load -- steady                           one script
 *     npm run load -- soak -e DURATION=2m              with variables of the script, or any flags of k6
 *     npm run load -- all                              all of them, shortly, one after the other
 *     npm run load -- fairness --broken                on a system on which it must fail; 0 when it does
 *     BASE_URL=http://127.0.0.1:8000 npm run load -- steady -e MODEL=iris
 *
 * OUT names a file for the figures of one script. METRICS_URLS, with commas, has the memory of those processes watched
 * by soak where BASE_URL is given. Status 0: all thresholds held; 1: some did not, or it could not be run.
 */
import { execFileSync, spawn } from 'node:child_process';
import { repositoryPath } from '@inferry/testkit';
import { growthBytesMax } from './load/memory.ts';
import { type Watched, watchMemory } from './load/memory-watch.ts';
import { plans, type Plan, type Target } from './load/plans.ts';
import { serve, type Served } from './served.ts';

/** What k6 ends with when a threshold did not hold. */
const thresholdsFailed = 99;

const names = Object.keys(plans);
const [script, ...rest] = process.argv.slice(2);
if (script === undefined || !(script === 'all' || names.includes(script))) {
  console.error(`usage: npm run load -- <${names.join('|')}|all> [--broken] [flags of k6]`);
  process.exit(1);
}
const isBroken = rest.includes('--broken');
const flags = rest.filter((word) => word !== '--broken');
const baseUrl = process.env['BASE_URL'];
if (isBroken && baseUrl !== undefined) {
  console.error('--broken starts a system of its own: BASE_URL must not be set');
  process.exit(1);
}
// What was started ends with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const k6 = tool('scripts/ensure-go-tool.mjs', 'k6');
const sha = git('rev-parse', '--short=12', 'HEAD');
const verdicts: { readonly name: string; readonly isWell: boolean; readonly words: string }[] = [];
for (const name of script === 'all' ? names : [script]) {
  // One that could not be run does not keep the others from theirs.
  const verdict = await run(name, plans[name] as Plan).catch((cause: unknown) => ({
    name,
    isWell: false,
    words: `it could not be run: ${String(cause)}`,
  }));
  verdicts.push(verdict);
  console.log(`${verdict.isWell ? 'ok    ' : 'FAILED'} ${name}: ${verdict.words}\n`);
}
if (verdicts.length > 1) {
  for (const { name, isWell, words } of verdicts) {
    console.log(`${isWell ? 'ok    ' : 'FAILED'} ${name}: ${words}`);
  }
}
process.exit(verdicts.every(({ isWell }) => isWell) ? 0 : 1);

async function run(name: string, plan: Plan): Promise<(typeof verdicts)[number]> {
  const target = isBroken ? plan.broken : plan.sound;
  const system = baseUrl === undefined ? await start(target) : undefined;
  try {
    const variables: Record<string, string> = {
      ...(system === undefined ? {} : target.script),
      ...(script === 'all' || isBroken ? { DURATION: plan.shortly } : {}),
      BASE_URL: system?.url ?? baseUrl ?? '',
      GIT_SHA: sha,
    };
    const memory = name === 'soak' ? watchMemory(watchedOf(system)) : undefined;
    const status = await load(name, variables);
    const words = status === 0 ? 'all thresholds held' : `k6 ended with ${status}`;
    if (isBroken) {
      const isWell = status === thresholdsFailed;
      return { name, isWell, words: isWell ? 'its thresholds fail, as they must here' : words };
    }
    let isWell = status === 0;
    for (const { name: process, ...judged } of (await memory?.end()) ?? []) {
      const megabytes = [judged.beforeBytes, judged.afterBytes].map((bytes) =>
        Math.round(bytes / 1e6),
      );
      const allowed = Math.round(growthBytesMax / 1e6);
      console.log(`memory of ${process}: ${megabytes.join(' -> ')} MB (may grow by ${allowed})`);
      if (judged.isGrown) isWell = false;
    }
    return { name, isWell, words: isWell || status !== 0 ? words : 'a process has grown' };
  } finally {
    await system?.close();
  }
}

async function start(target: Target): Promise<Served> {
  tool('scripts/ensure-redis.mjs');
  return serve(target.models, { workers: target.workers, env: target.env });
}

function watchedOf(system: Served | undefined): readonly Watched[] {
  if (system === undefined) {
    const urls = (process.env['METRICS_URLS'] ?? '').split(',').filter((url) => url !== '');
    if (urls.length === 0) console.log('METRICS_URLS is not set: memory is not looked at');
    return urls.map((metricsUrl) => ({ name: metricsUrl, metricsUrl }));
  }
  const [gateway = '', ...workers] = system.metricsUrls;
  return [
    { name: 'redis', pid: system.pids.redis },
    { name: 'gateway', metricsUrl: gateway },
    ...workers.map((metricsUrl, i) => ({ name: `worker ${i + 1}`, metricsUrl })),
  ];
}

/** Resolves to the status of k6; its output is ours. */
function load(name: string, variables: Readonly<Record<string, string>>): Promise<number> {
  const given = Object.entries(variables).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
  const quiet = process.stderr.isTTY ? [] : ['--quiet'];
  const argv = ['run', '--no-usage-report', ...quiet, ...given, ...flags];
  const child = spawn(k6, [...argv, repositoryPath('k6', `${name}.js`)], { stdio: 'inherit' });
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      process.off('exit', kill);
      if (signal === null) resolve(status ?? 1);
      else reject(new Error(`k6 was ended by ${signal}`));
    });
  });
}

/** Runs one of scripts/; what it prints. It says on stderr what is wrong, and then this process ends as well. */
function tool(path: string, ...argv: readonly string[]): string {
  try {
    return execFileSync(process.execPath, [repositoryPath(path), ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim();
  } catch {
    return process.exit(1);
  }
}

function git(...argv: readonly string[]): string {
  try {
    return execFileSync('git', argv, { cwd: repositoryPath(), encoding: 'utf8' }).trim();
  } catch {
    // No checkout: the figures then name no state of the code.
    return '';
  }
}
