/**
 * What `npm test` runs: everything that must hold before a change is taken. Formatting, lint with the
 * layer rules, types, dead code, then the four test projects. Every stage runs, so that one call shows
 * all that is wrong. A test that is skipped or left to do fails its stage, and so does a stage without
 * tests. System tests start what the types stage built: it is what users run, and starts in half the time of
 * the sources. The last line is always `N passed, N failed`; the exit status is 0 only when nothing failed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePrometheus } from './ensure-prometheus.mjs';
import { ensureRedis } from './ensure-redis.mjs';
import { ensureS3Server } from './ensure-s3-server.mjs';
import { ensureTurboJpeg } from './ensure-turbojpeg.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Longest time of one tool; far above what it needs, and all together within what CI allows. */
const toolMsMax = 90_000;
const testMsMax = { unit: 240_000, redis: 120_000, s3: 90_000, system: 420_000 };
const reports = mkdtempSync(join(tmpdir(), 'inferry-test-'));

const counts = { passed: 0, failed: 0 };
const failures = [];
const times = [];

await stage('redis', () => {
  console.log(`redis-server ${ensureRedis()}`);
});
await stage('libjpeg-turbo', () => {
  console.log(`libjpeg-turbo ${ensureTurboJpeg()}`);
});
await stage('s3 server', () => {
  console.log(ensureS3Server());
});
await stage('prometheus', () => {
  for (const [name, { version }] of Object.entries(ensurePrometheus())) {
    console.log(`${name} ${version}`);
  }
});
await stage('format', () => tool('oxfmt', ['--check']));
await stage('lint', () => tool('oxlint', []));
let isBuilt = false;
await stage('types', async () => {
  await tool('tsc', ['-b']);
  isBuilt = true;
});
await stage('dead code', async () => {
  await tool('knip', ['--strict', '--no-config-hints']);
  await tool('knip', ['--no-config-hints']);
});
for (const project of Object.keys(testMsMax)) await stage(`${project} tests`, () => test(project));

rmSync(reports, { recursive: true, force: true });
console.log(`\n${times.join('\n')}`);
for (const { name, message } of failures) console.log(`FAILED ${name}: ${message}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(failures.length === 0 ? 0 : 1);

/** Runs one stage; its failure is noted and the next one still runs. */
async function stage(name, act) {
  console.log(`\n== ${name}`);
  const startMs = performance.now();
  const failedBefore = counts.failed;
  try {
    await act();
  } catch (cause) {
    failures.push({ name, message: cause.message });
    // A stage that fails without a failed test must not hide behind "0 failed".
    if (counts.failed === failedBefore) counts.failed += 1;
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  times.push(`${seconds.padStart(7)} s  ${name}`);
}

/**
 * Runs a development tool of this workspace; throws when it does not end well. It has a process group
 * of its own, so that nothing it started outlives its time limit or an interrupt.
 */
async function tool(name, argv, msMax = toolMsMax, env = {}) {
  const child = spawn(join(root, 'node_modules', '.bin', name), argv, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, CI: 'true', ...env },
  });
  let ending = '';
  const end = (why) => {
    ending = why;
    // Without a process id it never started, and says so itself.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(() => end(`was ended after ${msMax / 1_000} s`), msMax);
  const interrupt = () => {
    end('was interrupted');
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupt);
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  }).finally(() => {
    clearTimeout(timer);
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupt);
  });
  if (status !== 0) throw new Error(`${name} ${ending || `ended with status ${status}`}`);
}

/** Runs one vitest project and adds its counts. */
async function test(project) {
  const file = join(reports, `${project}.json`);
  let failure;
  try {
    const argv = ['run', '--project', project, ...reportersInto(file)];
    const env = isBuilt && project === 'system' ? { INFERRY_DIST: '1' } : {};
    await tool('vitest', argv, testMsMax[project], env);
  } catch (cause) {
    failure = cause;
  }
  // Without a report vitest did not even start: its own failure tells more than the missing file.
  if (failure !== undefined && !existsSync(file)) throw failure;
  const report = JSON.parse(readFileSync(file, 'utf8'));
  counts.passed += report.numPassedTests;
  counts.failed += report.numFailedTests;
  if (failure !== undefined) throw failure;
  const left = report.numPendingTests + report.numTodoTests;
  if (left > 0) throw new Error(`${left} tests were skipped or are left to do`);
  if (report.numPassedTests === 0) throw new Error('no test ran');
}

function reportersInto(file) {
  return ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
}
