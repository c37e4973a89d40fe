/** Which workers live, and what they serve: one expiring key a worker, and the set of their ids. */
import type { WorkerAnnouncement } from '@inferry/contracts';
import type { JobQueue } from '../port.ts';
import type { QueueContext } from './queue-context.ts';

export function registry(
  context: QueueContext,
): Pick<JobQueue, 'announce' | 'retract' | 'workers'> {
  const { options, names, commands } = context;
  return {
    async announce(worker: WorkerAnnouncement): Promise<void> {
      await Promise.all([
        commands.sadd(names.workers, worker.workerId),
        commands.set(names.worker(worker.workerId), JSON.stringify(worker), 'PX', options.leaseMs),
      ]);
    },

    async retract(workerId: string): Promise<void> {
      await Promise.all([
        commands.srem(names.workers, workerId),
        commands.unlink(names.worker(workerId), names.wake(workerId)),
      ]);
    },

    async workers(): Promise<readonly WorkerAnnouncement[]> {
      const ids = await commands.smembers(names.workers);
      if (ids.length === 0) return [];
      const texts = await commands.mget(ids.map(names.worker));
      const dead = ids.filter((_, i) => texts[i] === null);
      if (dead.length > 0) await commands.srem(names.workers, ...dead);
      return texts.flatMap((text) =>
        text === null || text === undefined ? [] : [JSON.parse(text) as WorkerAnnouncement],
      );
    },
  };
}
