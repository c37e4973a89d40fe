/**
 * Tests of what is shipped around the processes, with tools that are fetched and built for it:
 * `npm run test:infra`. The chart with helm and kubeconform, docker-compose.yml with the library of docker
 * compose, Dockerfiles with hadolint, and the images as folders. `--update` takes the chart alone, and writes
 * what it renders as what it is compared with. Every test runs; the last line is always `N passed, N failed`, and the exit status
 * is 0 only when nothing failed.
 */
import { checkCompose } from './infra/compose.mjs';
import { checkDockerfiles } from './infra/hadolint.mjs';
import { testChart } from './infra/helm/chart-tests.mjs';
import { checkImages } from './infra/images.mjs';

const failureCharactersMax = 4_000;
const counts = { passed: 0, failed: 0 };

const isUpdate = process.argv.includes('--update');
testChart(test, isUpdate);
if (!isUpdate) {
  test('docker-compose.yml', checkCompose);
  test('Dockerfiles', checkDockerfiles);
  await testLater('images', checkImages);
}

console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);

/** Runs one test; a failure is told and counted, and the next one still runs. Returns what `act` returns. */
function test(name, act) {
  try {
    const value = act();
    passed(name);
    return value;
  } catch (cause) {
    failed(name, cause);
    return undefined;
  }
}

async function testLater(name, act) {
  try {
    await act();
    passed(name);
  } catch (cause) {
    failed(name, cause);
  }
}

function passed(name) {
  counts.passed += 1;
  console.log(`ok      ${name}`);
}

function failed(name, cause) {
  counts.failed += 1;
  console.log(`FAILED  ${name}\n        ${cause.message.slice(0, failureCharactersMax)}`);
}
