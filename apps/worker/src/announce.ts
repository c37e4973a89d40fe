/** What this worker tells the gateways about itself, again and again while it lives. */
import type { ClassId, ModelManifest, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import type { WorkerState } from './lifecycle.ts';
import { deviceName, type LoadedModel, type PlannedModel } from './load-models.ts';

export interface AnnouncerDeps {
  readonly queue: Pick<JobQueue, 'announce' | 'retract'>;
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly state: () => WorkerState;
}

export class Announcer {
  readonly #deps: AnnouncerDeps;
  readonly #models = new Map<ClassId, ServedModel>();
  #isRetracted = false;

  constructor(deps: AnnouncerDeps, planned: readonly PlannedModel[]) {
    this.#deps = deps;
    for (const { cls, manifest, devices } of planned) {
      const [first] = devices;
      this.#models.set(cls, {
        manifest: announced(manifest),
        state: 'loading',
        provider: first?.kind ?? 'cpu',
        device: first === undefined ? 'cpu' : deviceName(first),
        loadMs: 0,
      });
    }
  }

  modelLoaded({ cls, instances, loadMs }: LoadedModel): void {
    const known = this.#models.get(cls);
    const [first] = instances;
    if (known === undefined || first === undefined) return;
    const ran = { provider: first.provider, device: deviceName(first.device) };
    this.#models.set(cls, { ...known, ...ran, state: 'ready', loadMs });
  }

  modelFailed(cls: ClassId): void {
    const known = this.#models.get(cls);
    if (known !== undefined) this.#models.set(cls, { ...known, state: 'failed' });
  }

  /** Throws when the queue cannot be reached. */
  async announce(): Promise<void> {
    if (this.#isRetracted) return;
    const { host, pid, queue, startedAtMs, workerId } = this.#deps;
    const state = announcedState(this.#deps.state());
    const models = [...this.#models.values()];
    await queue.announce({ v: 1, workerId, host, pid, state, startedAtMs, models });
  }

  /** Nothing is announced afterwards. */
  async retract(): Promise<void> {
    this.#isRetracted = true;
    await this.#deps.queue.retract(this.#deps.workerId);
  }
}

/** Without paths of files, which mean nothing on another host. */
function announced(manifest: ModelManifest): ModelManifest {
  return { ...manifest, file: null, ...('warmupSamples' in manifest ? { warmupSamples: [] } : {}) };
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
