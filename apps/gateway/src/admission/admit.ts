/** May new work enter? Pure: the answer follows from what this gateway knows, before the queue is asked. */
import { type Failure, failure, type Limits } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

/** What this gateway knows of the system's load. Kept up to date by the background round. */
export interface Load {
  isDraining: boolean;
  /** Jobs waiting in all classes, as of the last look. */
  waitingTotal: number;
}

const retryAfterMs = 1_000;

/** Errors: `draining`, `queue_full` (the bound over all classes; the queue itself holds those of a class). */
export function admit(load: Readonly<Load>, limits: Limits): Result<void, Failure> {
  if (load.isDraining) {
    const detail = 'This server is shutting down; another one may take the request.';
    return err(failure('draining', detail, { retryAfterMs }));
  }
  if (load.waitingTotal >= limits.queueDepthTotalMax) {
    const detail = `${load.waitingTotal} jobs wait in all queues (limit ${limits.queueDepthTotalMax}).`;
    return err(failure('queue_full', detail, { retryAfterMs }));
  }
  return ok(undefined);
}
