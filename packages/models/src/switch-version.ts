/**
 * When requests go over from one version to another. Pure. A version that was chosen is taken up once it is
 * ready wherever the others are, so that nobody waits for it to load, and the workers that have it already are
 * not left alone with what all did before.
 */

export interface SwitchView {
  /** Those that may be requested, from the oldest to the latest. */
  readonly versions: readonly {
    readonly version: string;
    readonly state: 'ready' | 'loading' | 'failed' | 'unavailable';
  }[];
  /** What is to be taken up; undefined where nothing was chosen, or what was chosen is not there. */
  readonly wanted: string | undefined;
  /** What was taken last; undefined where this is the first time. */
  readonly before: string | undefined;
  /**
   * Some live worker has another version of the model ready, and `version` not yet: it is loading it, or has
   * not begun. Where it failed, or has no instances for the device, nothing is waited for.
   */
  readonly isAwaited: (version: string) => boolean;
  /** No worker could load it when one last tried, be it gone by now or trying again. */
  readonly hasFailed: (version: string) => boolean;
}

/** The version of a label; where it was never ready, what the label names is loaded, or waited for. */
export function settledVersion(view: SwitchView): string | undefined {
  const { before, isAwaited, wanted } = view;
  const isReady = readyIn(view);
  if (wanted === undefined) return isReady(before) ? before : undefined;
  if (isReady(wanted) && !isAwaited(wanted)) return wanted;
  return isReady(before) || isBetter(view, before, wanted) ? before : wanted;
}

/**
 * The version of requests that name none. Ready wherever any version is; undefined where there is none at all.
 */
export function defaultVersion(view: SwitchView): string | undefined {
  const { versions, wanted } = view;
  const isReady = readyIn(view);
  const settled = settledVersion(view);
  if (isReady(settled)) return settled;
  const last = (state: string): string | undefined =>
    versions.findLast((one) => one.state === state)?.version;
  const ready = last('ready');
  if (ready !== undefined) return ready;
  // What was served and is being loaded again was good once.
  const coming = versions.filter(({ state }) => state === 'loading').map(({ version }) => version);
  if (view.before !== undefined && coming.includes(view.before)) return view.before;
  if (wanted === undefined) return coming.at(-1) ?? versions.at(-1)?.version;
  if (!view.hasFailed(wanted)) return wanted;
  // Between the end of a worker and the start of the next, it is what was served that comes back.
  if (isBetter(view, view.before, wanted)) return view.before;
  return coming.findLast((version) => !view.hasFailed(version)) ?? wanted;
}

/** The one before may be loaded again, and what is wanted could not be. */
function isBetter(
  { hasFailed, versions }: SwitchView,
  before: string | undefined,
  wanted: string,
): boolean {
  const isThere = versions.some(({ version }) => version === before);
  return hasFailed(wanted) && before !== undefined && isThere && !hasFailed(before);
}

function readyIn({ versions }: SwitchView): (version: string | undefined) => boolean {
  const ready = new Set(
    versions.filter(({ state }) => state === 'ready').map((one) => one.version),
  );
  return (version) => version !== undefined && ready.has(version);
}
