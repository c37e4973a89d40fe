/**
 * Which versions this worker serves, and how it comes from those to others without losing a job. What is new is
 * loaded and warmed beside what is served, one version at a time. Only when all versions of a model that are
 * wanted are ready do the others retire, and a retiring one goes when nobody needs it any more (retirement.ts).
 * What cannot be loaded leaves everything of its model as it was.
 */
import {
  type ClassId,
  classOf,
  type Failure,
  failure,
  type ModelRouting,
  type ServedModel,
} from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import { type Clock, err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { WorkerDevice } from './deps.ts';
import { deviceName, type PlannedModel, planModels } from './load-models.ts';
import { closePrepared, type ModelLoader, type Prepared } from './load-prepared.ts';
import { Retirement } from './retirement.ts';
import type { Serving } from './serving.ts';
import { rowsMaxOf } from './session-class.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import { VersionStates } from './version-states.ts';
import type { AppliedVersion, ApplyReport, FindInstead, WantedModels } from './wanted-models.ts';

export interface ModelSwitchDeps {
  readonly serving: Serving;
  readonly loader: ModelLoader;
  readonly queue: Pick<JobQueue, 'stats' | 'workers'>;
  readonly device: WorkerDevice;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly telemetry: WorkerTelemetry;
  /** See {@link Retirement}. */
  readonly retireGraceMs: number;
  /** What is announced has changed; resolves when that was tried. */
  readonly onChange: () => Promise<void>;
}

const endingReason = 'The worker is ending.';
/** Versions that are tried at the start, in the place of those that cannot be loaded. */
const insteadMax = 3;

export class ModelSwitch {
  readonly #deps: ModelSwitchDeps;
  readonly #versions = new VersionStates();
  /** What could not be loaded, as text, and why: it is tried again when it has changed. */
  readonly #refused = new Map<ClassId, { readonly text: string; readonly reason: string }>();
  /** Those that have no instances here, as far as the log knows. */
  #skipped: ReadonlySet<ClassId> = new Set();
  readonly #retirement: Retirement;
  #routing: Readonly<Record<string, ModelRouting>> = {};
  #turn: Promise<unknown> = Promise.resolve();
  #isEnding = false;

  constructor(deps: ModelSwitchDeps) {
    this.#deps = deps;
    this.#retirement = new Retirement(deps.retireGraceMs);
  }

  /** As it is announced. */
  get models(): readonly ServedModel[] {
    return this.#versions.announced();
  }

  get routing(): Readonly<Record<string, ModelRouting>> {
    return this.#routing;
  }

  /**
   * Loads all of it, before anything is served. A version that cannot be loaded is told as failed, where another
   * one of its model can; where none can, `findInstead` is asked for one. `model_unavailable` where a model is left
   * without any; it names every version that cannot be loaded, and nothing stays loaded then.
   */
  async begin(
    wanted: WantedModels,
    findInstead: FindInstead,
  ): Promise<Result<ApplyReport, Failure>> {
    const { device, serving } = this.#deps;
    const planned = this.#plan(wanted);
    if (planned.length === 0 && wanted.manifests.length > 0) {
      const detail = `No model has instances for ${deviceName(device)}.`;
      return err(failure('model_unavailable', detail));
    }
    this.#take(wanted);
    for (const model of planned) this.#loading(model);
    void this.#deps.onChange();
    const loaded: Prepared[] = [];
    const report: AppliedVersion[] = [];
    for (const model of planned) {
      const first = await this.#loadFirst(model, report);
      if (first !== null) loaded.push(first);
    }
    const served = new Set(loaded.map(({ manifest }) => manifest.name));
    let isComplete = true;
    for (const name of new Set(planned.map(nameOf))) {
      if (served.has(name)) continue;
      const instead = await this.#loadInstead(name, findInstead, report);
      if (instead === null) isComplete = false;
      else loaded.push(instead);
    }
    if (!isComplete) {
      await Promise.all(loaded.map(closePrepared));
      const errors = report.flatMap(({ model, version, reason }) =>
        reason === undefined ? [] : [`${classOf(model, version)}: ${reason}`],
      );
      return err(failure('model_unavailable', errors.join('\n'), { extras: { errors } }));
    }
    await serving.add(loaded);
    return ok(report);
  }

  /** From what is served to what is wanted; resolves when all that is new was loaded, or failed to. In turn. */
  apply(wanted: WantedModels): Promise<ApplyReport> {
    return this.#inTurn(() => this.#apply(wanted));
  }

  /** To be called now and then: lets go of what nobody needs any more. Throws when the queue is away. */
  async lookAtRetiring(): Promise<void> {
    const classes = this.#versions
      .all()
      .flatMap(([cls, { state }]) => (state === 'retiring' ? [cls] : []));
    if (classes.length === 0) return;
    const { clock, queue } = this.#deps;
    try {
      const [workers, stats] = await Promise.all([queue.workers(), queue.stats(classes)]);
      const over = this.#retirement.over(classes, workers, stats, clock.nowMs());
      for (const cls of over) await this.#inTurn(() => this.#remove(cls));
    } catch (cause) {
      this.#retirement.reset();
      throw cause;
    }
  }

  /** Nothing is loaded, replaced or removed from now on, but for what is under way. */
  end(): void {
    this.#isEnding = true;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#turn;
  }

  // ---- begin ----------------------------------------------------------------------------------------

  /** Null where it cannot be loaded. */
  async #loadFirst(model: PlannedModel, report: AppliedVersion[]): Promise<Prepared | null> {
    const { loader, logger, telemetry } = this.#deps;
    const { name, version } = model.manifest;
    const loaded = await loader.load(model, { isAlone: true });
    if (loaded.ok) {
      this.#versions.ready(model, loaded.value);
      report.push({ model: name, version, result: 'loaded' });
      return loaded.value;
    }
    const reason = loaded.error;
    this.#refuse(model, reason);
    telemetry.modelLoadFailed(name);
    logger.error({ class: model.cls, reason }, 'cannot be loaded');
    report.push({ model: name, version, result: 'failed', reason });
    return null;
  }

  /** Of a model of which nothing could be loaded, what may take its place. */
  async #loadInstead(
    name: string,
    findInstead: FindInstead,
    report: AppliedVersion[],
  ): Promise<Prepared | null> {
    for (let i = 0; i < insteadMax; i += 1) {
      const failed = report.flatMap(({ model, version }) => (model === name ? [version] : []));
      const manifest = await findInstead(name, failed);
      if (manifest === null || failed.includes(manifest.version)) return null;
      const [model] = planModels([manifest], this.#deps.device).planned;
      if (model === undefined) return null;
      this.#loading(model);
      const loaded = await this.#loadFirst(model, report);
      if (loaded !== null) return loaded;
    }
    return null;
  }

  // ---- apply ----------------------------------------------------------------------------------------

  async #apply(wanted: WantedModels): Promise<ApplyReport> {
    const planned = this.#isEnding ? [] : this.#plan(wanted);
    if (this.#isEnding) return [];
    this.#take(wanted);
    const names = new Set(this.#versions.all().map(([, { planned }]) => nameOf(planned)));
    for (const { manifest } of planned) names.add(manifest.name);
    // Told first: no gateway takes a version for the default while others have not begun to load it.
    const steps = planned.map((model) => ({
      model,
      what: this.#whatFor(model, wanted.retry ?? []),
    }));
    for (const { model, what } of steps) {
      if (what === 'load') this.#loading(model);
      else this.#versions.stays(model.cls);
    }
    const report: AppliedVersion[] = [];
    // Those that go make room for those that come.
    const isGone = (name: string): boolean => steps.every(({ model }) => nameOf(model) !== name);
    for (const name of names) if (isGone(name)) report.push(...this.#retireOthers(name, []));
    await this.#deps.onChange();
    for (const name of names) {
      const own = steps.filter(({ model }) => nameOf(model) === name);
      const applied: AppliedVersion[] = [];
      for (const { model, what } of own) applied.push(await this.#carryOut(model, what));
      report.push(...applied);
      const isWhole = applied.every(({ result }) => result !== 'failed');
      const keeps = own.map(({ model }) => model.cls);
      if (own.length > 0 && isWhole) report.push(...this.#retireOthers(name, keeps));
      else if (own.length > 0) this.#dropFailed(name, keeps);
    }
    await this.#deps.onChange();
    return report;
  }

  #take(wanted: WantedModels): void {
    this.#routing = wanted.routing;
    this.#deps.serving.replaceLocal(wanted);
  }

  #plan({ manifests }: WantedModels): readonly PlannedModel[] {
    const { device, logger } = this.#deps;
    const { planned, skipped } = planModels(manifests, device);
    for (const cls of skipped) {
      if (this.#skipped.has(cls)) continue;
      logger.warn(
        { class: cls, device: deviceName(device) },
        'no instances for this device; skipped',
      );
    }
    this.#skipped = new Set(skipped);
    return planned;
  }

  #whatFor(model: PlannedModel, retry: readonly string[]): 'keep' | 'load' | 'replace' | 'refuse' {
    const known = this.#versions.get(model.cls);
    const text = JSON.stringify(model.manifest);
    const isServed = known?.state === 'ready' || known?.state === 'retiring';
    if (isServed && JSON.stringify(known.planned.manifest) === text) return 'keep';
    const isKnownBad = this.#refused.get(model.cls)?.text === text;
    if (isKnownBad && !retry.includes(nameOf(model))) return 'refuse';
    return isServed ? 'replace' : 'load';
  }

  async #carryOut(
    model: PlannedModel,
    what: 'keep' | 'load' | 'replace' | 'refuse',
  ): Promise<AppliedVersion> {
    const { name: modelName, version } = model.manifest;
    const told = { model: modelName, version };
    if (what === 'keep') {
      this.#refused.delete(model.cls);
      return { ...told, result: 'kept' };
    }
    if (what === 'refuse') {
      const reason = this.#refused.get(model.cls)?.reason ?? '';
      return { ...told, result: 'failed', reason };
    }
    const { loader, logger, serving, telemetry } = this.#deps;
    // At most two contents of a class are in memory.
    await serving.replaced(model.cls);
    const loaded = this.#isEnding
      ? err(endingReason)
      : await loader.load(model, { isAlone: false });
    if (loaded.ok && this.#isEnding) await closePrepared(loaded.value);
    if (!loaded.ok || this.#isEnding) {
      const reason = loaded.ok ? endingReason : loaded.error;
      this.#refuse(model, reason);
      telemetry.modelReloaded(modelName, 'failed');
      const kept = what === 'load' ? 'no version is given up for it' : 'it stays as it was';
      logger.error({ class: model.cls, reason }, `cannot be loaded; ${kept}`);
      return { ...told, result: 'failed', reason };
    }
    this.#refused.delete(model.cls);
    const result = what === 'load' ? 'loaded' : 'replaced';
    if (what === 'replace') await serving.replace(loaded.value);
    else await serving.add([loaded.value]);
    this.#versions.ready(model, loaded.value);
    if (what === 'load') serving.start(model.cls);
    void this.#deps.onChange();
    telemetry.modelReloaded(modelName, result);
    logger.info({ class: model.cls, result }, 'serving');
    return { ...told, result };
  }

  #retireOthers(name: string, keeps: readonly ClassId[]): readonly AppliedVersion[] {
    this.#dropFailed(name, keeps);
    const report: AppliedVersion[] = [];
    for (const [cls, known] of this.#versions.all()) {
      const { manifest } = known.planned;
      if (manifest.name !== name || keeps.includes(cls)) continue;
      report.push({ model: name, version: manifest.version, result: 'retiring' });
      if (known.state === 'retiring') continue;
      this.#versions.retires(cls);
      this.#deps.logger.info({ class: cls }, 'retiring: what waits is still served');
    }
    return report;
  }

  /** Versions that could not be loaded, and are wanted no longer. */
  #dropFailed(name: string, keeps: readonly ClassId[]): void {
    for (const [cls, { planned, state }] of this.#versions.all()) {
      if (planned.manifest.name !== name || keeps.includes(cls)) continue;
      this.#refused.delete(cls);
      if (state === 'failed') this.#versions.remove(cls);
    }
  }

  async #remove(cls: ClassId): Promise<void> {
    const known = this.#versions.get(cls);
    if (this.#isEnding || known?.state !== 'retiring') return;
    if (!(await this.#deps.serving.remove(cls))) return;
    this.#versions.remove(cls);
    this.#deps.telemetry.modelReloaded(nameOf(known.planned), 'retired');
    this.#deps.logger.info({ class: cls }, 'not served any more');
    await this.#deps.onChange();
  }

  #loading(model: PlannedModel): void {
    const { cls, manifest } = model;
    this.#deps.telemetry.modelDeclared(manifest.name, cls, rowsMaxOf(manifest));
    this.#versions.loading(model);
  }

  #refuse(model: PlannedModel, reason: string): void {
    this.#refused.set(model.cls, { text: JSON.stringify(model.manifest), reason });
    this.#versions.failed(model, reason);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function nameOf({ manifest }: PlannedModel): string {
  return manifest.name;
}
