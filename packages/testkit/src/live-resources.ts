/**
 * What tests started and have not stopped yet. Every fixture of this package that owns a process
 * registers here; an `afterEach` that finds something left fails its test, and whatever is still
 * running when the test process itself ends is killed with it.
 */
interface LiveResource {
  readonly name: string;
  readonly killNow: () => void;
}

const live = new Set<LiveResource>();
let isWatchingExit = false;

/**
 * Notes a running thing. `killNow` must be synchronous: it runs while the process exits.
 * Returns the function that says it has stopped.
 */
export function registerLive(name: string, killNow: () => void): () => void {
  const resource: LiveResource = { name, killNow };
  live.add(resource);
  if (!isWatchingExit) {
    isWatchingExit = true;
    process.once('exit', () => {
      for (const left of live) left.killNow();
    });
  }
  return () => {
    live.delete(resource);
  };
}

/** Names of what still runs. Use as `afterEach(() => expect(liveResources()).toEqual([]))`. */
export function liveResources(): readonly string[] {
  return [...live].map((resource) => resource.name);
}
