/** What this worker tells the gateways about itself, again and again while it lives. */
import type { ModelManifest, WorkerAnnouncement } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';
import type { WorkerState } from './lifecycle.ts';
import { farewellMs, within } from './within.ts';

export interface AnnouncerDeps {
  readonly queue: Pick<JobQueue, 'announce' | 'retract'>;
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly startedAtMs: number;
  readonly state: () => WorkerState;
  /** What it serves, and what became of what it was told to. */
  readonly about: () => Pick<WorkerAnnouncement, 'carriedOut' | 'models' | 'routing'>;
}

export class Announcer {
  readonly #deps: AnnouncerDeps;
  #isRetracted = false;

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps;
  }

  /** Throws when the queue cannot be reached. */
  async announce(): Promise<void> {
    if (this.#isRetracted) return;
    const { about, host, pid, queue, startedAtMs, workerId } = this.#deps;
    const state = announcedState(this.#deps.state());
    await queue.announce({ v: 1, workerId, host, pid, state, startedAtMs, ...about() });
  }

  /** Something has changed. When the queue is away the next announcement says so. */
  async changed(): Promise<void> {
    await within(this.#deps.clock, farewellMs, this.announce());
  }

  /** Nothing is announced afterwards. */
  async retract(): Promise<void> {
    this.#isRetracted = true;
    await this.#deps.queue.retract(this.#deps.workerId);
  }
}

/** Without paths of files, which mean nothing on another host. */
export function announced(manifest: ModelManifest): ModelManifest {
  const { processor, warmupSamples } = manifest;
  return {
    ...manifest,
    file: null,
    ...(warmupSamples === undefined ? {} : { warmupSamples: [] }),
    ...(processor === undefined ? {} : { processor: { ...processor, file: '' } }),
  };
}

function announcedState(state: WorkerState): WorkerAnnouncement['state'] {
  switch (state) {
    case 'starting':
    case 'warming':
      return 'warming';
    case 'serving':
      return 'serving';
    default:
      return 'draining';
  }
}
