/** How fast a class is served, as its workers tell the queue; the base of every estimate. */

/** What runs of one worker take. */
export interface ServiceProfile {
  /** Most rows of a batch, at least 1. */
  readonly rowsMax: number;
  /**
   * Expected duration of a run by its rows, ms, with all that a batch costs beside its compute. Rises in
   * `rows`, begins at 1 row; between two points it is a straight line.
   */
  readonly points: readonly ServicePoint[];
  /** 95 of 100 runs stay within this factor of what is expected, at least 1. */
  readonly tailFactor: number;
  /**
   * Time of this one worker that a row takes while batches are full and nothing else runs on it, ms, more
   * than 0. Runs at a time are counted, other classes and caution are not: it is for adding up work.
   */
  readonly rowWorkMs: number;
}

export interface ServicePoint {
  readonly rows: number;
  readonly ms: number;
}

/** One slot of a live worker. */
export interface ServerView {
  /** Expected time until its run in progress, and the batch claimed ahead, have ended; 0 when it is free. */
  readonly freeInMs: number;
  readonly profile: ServiceProfile;
}

/** The line in front of a job. */
export interface LineView {
  /** Rows of the jobs ahead of it. */
  readonly rowsAhead: number;
  /** Its own rows. */
  readonly rows: number;
  readonly servers: readonly ServerView[];
  /** Mean time between the arrivals of two rows, ms; null while nothing is known. */
  readonly rowEveryMs: number | null;
}

export interface Estimate {
  /** Expected time until the answer, ms: what 95 of 100 jobs in this place would stay within. */
  readonly readyInMs: number;
  /** Longest time until the start that the guarantee allows, ms (G2). */
  readonly startBoundMs: number;
}
