/** The versions that a worker has, loads, or could not load, as they are announced. */
import type { ClassId, ServedModel } from '@inferry/contracts';
import { announced } from './announce.ts';
import { deviceName, type PlannedModel } from './load-models.ts';
import type { Prepared } from './load-prepared.ts';

export interface VersionState {
  readonly planned: PlannedModel;
  readonly state: ServedModel['state'];
  readonly provider: string;
  readonly device: string;
  readonly loadMs: number;
  readonly reason?: string;
}

export class VersionStates {
  readonly #states = new Map<ClassId, VersionState>();

  get(cls: ClassId): VersionState | undefined {
    return this.#states.get(cls);
  }

  /** As they are now: what changes meanwhile is not among them. */
  all(): readonly (readonly [ClassId, VersionState])[] {
    return [...this.#states];
  }

  announced(): readonly ServedModel[] {
    return [...this.#states.values()].map(({ planned, ...facts }) => ({
      manifest: announced(planned.manifest),
      ...facts,
    }));
  }

  loading(planned: PlannedModel): void {
    const [first] = planned.devices;
    const provider = first?.kind ?? 'cpu';
    const device = first === undefined ? 'cpu' : deviceName(first);
    this.#states.set(planned.cls, { planned, state: 'loading', provider, device, loadMs: 0 });
  }

  ready(planned: PlannedModel, prepared: Prepared): void {
    const { instances, loadMs } = 'program' in prepared ? { instances: [], loadMs: 0 } : prepared;
    const [first] = instances;
    const provider = first?.provider ?? 'cpu';
    const device = first === undefined ? 'cpu' : deviceName(first.device);
    this.#states.set(planned.cls, { planned, state: 'ready', provider, device, loadMs });
  }

  /** It is failed, unless another content of it is served. */
  failed(planned: PlannedModel, reason: string): void {
    const known = this.#states.get(planned.cls);
    if (known?.state !== 'loading') return;
    this.#states.set(planned.cls, { ...known, planned, state: 'failed', reason });
  }

  retires(cls: ClassId): void {
    const known = this.#states.get(cls);
    if (known !== undefined) this.#states.set(cls, { ...known, state: 'retiring' });
  }

  /** It may have been about to go. */
  stays(cls: ClassId): void {
    const known = this.#states.get(cls);
    if (known?.state === 'retiring') this.#states.set(cls, { ...known, state: 'ready' });
  }

  remove(cls: ClassId): void {
    this.#states.delete(cls);
  }
}
