/**
 * The model repository of a running role: read again when its files have changed and rest, or when somebody asks
 * for it. A model that cannot be read any more stays as it was read last, and the rest of the repository changes.
 */
import {
  compareVersions,
  loadRepository,
  problemText,
  type Repository,
  type RepositoryProblem,
} from '@inferry/models';
import { type Clock, Emitter, every } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { entriesMaxDefault, fingerprintOf } from './fingerprint.ts';
import { narrowed } from './models.ts';

export interface RepositoryWatchOptions extends Pick<Config, 'modelsDir' | 'only'> {
  /** As it was read at the start. */
  readonly repository: Repository;
  /** Between two looks at the files; 0: only {@link RepositoryWatch.reread} reads again. */
  readonly pollMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of a directory; `loadRepository` where it is absent. */
  readonly load?: (directory: string) => Promise<Repository>;
}

/** A repository that changes while it is read is read so often, and then taken as it was read last. */
const readsMax = 3;
/** While something cannot be read, every so many looks. */
const againLooks = 15;

type RepositoryEvents = {
  /** It is another than it was, be it in its problems alone. */
  readonly changed: Repository;
};

export interface RepositoryWatch {
  /** `models`, `routing` and the like are the last that could be used, `problems` those of the last reading. */
  readonly current: () => Repository;
  /** Reads now; resolves with what is current then. Calls that come while one is about to begin share it. */
  readonly reread: () => Promise<Repository>;
  readonly events: Emitter<RepositoryEvents>;
  /** Nothing is read from now on, and nothing emitted. */
  readonly stop: () => void;
}

/** A repository that changed between its first reading and now is read again at the second look. */
export function watchRepository(options: RepositoryWatchOptions): RepositoryWatch {
  const watch = new Watch(options);
  watch.start();
  return watch;
}

class Watch implements RepositoryWatch {
  readonly #options: RepositoryWatchOptions;
  readonly events = new Emitter<RepositoryEvents>();
  #current: Repository;
  /** Of the files as they were read; null before. */
  #readAs: string | null = null;
  /** Of the last look. */
  #seen: string | null = null;
  /** Texts of what was logged, so that it is logged once. */
  #told: ReadonlySet<string>;
  #reading: Promise<unknown> = Promise.resolve();
  #next: Promise<Repository> | null = null;
  #looks = 0;
  #isStopped = false;
  #stopLooking: () => void = () => undefined;

  constructor(options: RepositoryWatchOptions) {
    this.#options = options;
    this.#current = options.repository;
    this.#told = new Set(textsOf(options.repository));
  }

  start(): void {
    const { clock, pollMs } = this.#options;
    if (pollMs > 0) this.#stopLooking = every(clock, pollMs, () => this.#look());
  }

  readonly current = (): Repository => this.#current;

  readonly reread = (): Promise<Repository> => {
    if (this.#next !== null) return this.#next;
    const next = this.#reading.then(() => {
      this.#next = null;
      return this.#read();
    });
    this.#next = next;
    this.#reading = next.catch(() => undefined);
    return next;
  };

  readonly stop = (): void => {
    this.#isStopped = true;
    this.#stopLooking();
  };

  /** Acts on a change that two looks saw: a copy that is under way looks different each time. */
  async #look(): Promise<void> {
    const { logger, modelsDir, only } = this.#options;
    try {
      const seen = await fingerprintOf(modelsDir, only);
      if (seen === null) {
        this.#stopLooking();
        const fields = { directory: modelsDir, entries_max: entriesMaxDefault };
        logger.warn(
          fields,
          'too many files to look for changes; SIGHUP makes this process read again',
        );
        return;
      }
      const rests = seen === this.#seen;
      this.#seen = seen;
      this.#looks += 1;
      // What could not be read for a reason that files do not show, such as too many that are open, may be readable by now.
      const isDue = this.#current.problems.length > 0 && this.#looks % againLooks === 0;
      if (rests && (isDue || seen !== this.#readAs)) await this.reread();
    } catch (cause) {
      logger.error(
        { directory: modelsDir, err: cause },
        'the model repository cannot be looked at',
      );
    }
  }

  async #read(): Promise<Repository> {
    const { load = loadRepository, modelsDir, only } = this.#options;
    if (this.#isStopped) return this.#current;
    let readAs = await fingerprintOf(modelsDir, only);
    let read = narrowed(await load(modelsDir), only);
    for (let i = 1; i < readsMax; i += 1) {
      const after = await fingerprintOf(modelsDir, only);
      if (after === readAs) break;
      // It is neither what was there before, nor what is there now: a model that was being replaced may be missing.
      readAs = after;
      read = narrowed(await load(modelsDir), only);
    }
    this.#readAs = readAs;
    this.#tell(read);
    const next = keepingGood(this.#current, read);
    if (this.#isStopped || JSON.stringify(next) === JSON.stringify(this.#current)) {
      return this.#current;
    }
    this.#current = next;
    this.events.emit('changed', next);
    return next;
  }

  #tell(read: Repository): void {
    const { logger } = this.#options;
    const { problems, warnings } = read;
    for (const problem of problems) {
      const text = problemText(problem);
      if (this.#told.has(text)) continue;
      const ofModel = isOfModel(problem) ? 'a model' : 'a version';
      const what = problem.model === null ? 'the model repository' : ofModel;
      logger.error(
        { model: problem.model, problem: text },
        `${what} cannot be read; it stays as it was`,
      );
    }
    for (const warning of warnings) {
      const text = problemText(warning);
      if (!this.#told.has(text)) logger.warn({ model: warning.model }, text);
    }
    const broken = new Set(problems.map(({ model }) => model));
    for (const model of new Set(this.#current.problems.map((problem) => problem.model))) {
      const isThere = model === null || read.models.some(({ name }) => name === model);
      if (isThere && !broken.has(model)) logger.info({ model }, 'can be read again');
    }
    this.#told = new Set(textsOf(read));
  }
}

function textsOf({ problems, warnings }: Repository): readonly string[] {
  return [...problems, ...warnings].map(problemText);
}

/**
 * What was read, where models with problems are as they were before, and problems are those of the last reading.
 * Where single versions are broken, none of the model goes away, and what is sound counts: a broken version
 * must not keep requests from being sent to another one.
 */
function keepingGood(before: Repository, read: Repository): Repository {
  const { problems } = read;
  if (problems.length === 0) return read;
  const unread = new Set(problems.filter(isOfModel).map(({ model }) => model));
  // Nobody knows what is in a directory that cannot be read.
  if (unread.has(null)) return { ...before, problems };
  const broken = new Set(problems.map(({ model }) => model));
  const sound = read.models.filter(({ name }) => !unread.has(name));
  const isSound = (name: string, version: string): boolean =>
    sound.some((manifest) => manifest.name === name && manifest.version === version);
  const kept = before.models.filter(
    ({ name, version }) => broken.has(name) && !isSound(name, version),
  );
  const models = [...kept, ...sound].toSorted((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : compareVersions(a.version, b.version),
  );
  const isThere = (name: string, version: string): boolean =>
    models.some((manifest) => manifest.name === name && manifest.version === version);
  const isUsable = (name: string): boolean => {
    const { labels, traffic } = read.routing[name] ?? { labels: {}, traffic: [] };
    const named = [...Object.values(labels), ...traffic.map(({ version }) => version)];
    return !unread.has(name) && named.every((version) => isThere(name, version));
  };
  const isRead = (name: string): boolean => !unread.has(name);
  return {
    directory: read.directory,
    models,
    problems,
    warnings: [
      ...before.warnings.filter(({ model }) => unread.has(model)),
      ...read.warnings.filter(({ model }) => !unread.has(model)),
    ],
    routing: merged(before.routing, read.routing, isUsable),
    choices: merged(before.choices, read.choices, isRead),
  };
}

function isOfModel({ version }: RepositoryProblem): boolean {
  return version === null;
}

function merged<T>(
  before: Readonly<Record<string, T>>,
  read: Readonly<Record<string, T>>,
  isRead: (model: string) => boolean,
): Readonly<Record<string, T>> {
  return Object.fromEntries([
    ...Object.entries(before).filter(([model]) => !isRead(model)),
    ...Object.entries(read).filter(([model]) => isRead(model)),
  ]);
}
