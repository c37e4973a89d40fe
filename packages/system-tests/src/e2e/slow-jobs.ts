/** What tests do to roles to see what becomes of their jobs: slow ones, and processes that die or lose time. */
import { waitFor } from '@inferry/testkit';
import { expect } from 'vitest';
import { type Answer, call, postJson, type RunningRole } from '../system.ts';

const one = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };

export function submitSlow(
  gateway: RunningRole,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return postJson(`${gateway.url}/v1/models/slow/jobs`, { input: one }, headers);
}

export async function queueSlow(gateway: RunningRole, jobs: number): Promise<readonly string[]> {
  const answers = await Promise.all(Array.from({ length: jobs }, () => submitSlow(gateway)));
  return answers.map(({ status, body }) => {
    expect(status, JSON.stringify(body)).toBe(202);
    return String(body['id']);
  });
}

export async function untilRunning(gateway: RunningRole, id: string): Promise<void> {
  await waitFor(
    async () => (await call(`${gateway.url}/v1/jobs/${id}`)).body['status'] === 'running',
    { what: `job ${id} to run` },
  );
}

/** With its supervisor, so that it does not come back. */
export function killForGood(worker: RunningRole): void {
  worker.process.kill('SIGKILL');
  process.kill(worker.childPid, 'SIGKILL');
}

/** Environment of processes whose clock is 250 ms further ahead after each SIGUSR2. */
export const clockThatSteps = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`
    const now = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => now() + ahead;
    process.on('SIGUSR2', () => { ahead += 250; });
  `)}`,
};
