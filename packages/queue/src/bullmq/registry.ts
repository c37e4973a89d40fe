/**
 * Which workers live, and what they serve: one expiring key a worker, and the set of their ids. And what
 * workers before them learned of their models.
 */
import type { WorkerAnnouncement } from '@inferry/contracts';
import type { JobQueue } from '../port.ts';
import type { QueueContext } from './queue-context.ts';

const profileMs = 30 * 24 * 3_600_000;

export function registry(
  context: QueueContext,
): Pick<JobQueue, 'announce' | 'retract' | 'workers' | 'loadProfile' | 'saveProfile'> {
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

    loadProfile(key: string): Promise<string | null> {
      return commands.get(names.profile(key));
    },

    async saveProfile(key: string, text: string): Promise<void> {
      await commands.set(names.profile(key), text, 'PX', profileMs);
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
