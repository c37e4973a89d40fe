/** The boards, in the order of the documentation. */
import { model } from './boards/model.ts';
import { overview } from './boards/overview.ts';
import { queue } from './boards/queue.ts';
import { slo } from './boards/slo.ts';
import { worker } from './boards/worker.ts';
import type { BoardSpec } from './spec.ts';

export const boards: readonly BoardSpec[] = [overview, model, worker, queue, slo];
