/**
 * What the command and the process that measures for it say to each other. Each setting is measured in a
 * process of its own: its memory can be told apart then, and a crash or the lack of memory ends that
 * process and not the command.
 */
import type { ModelManifest } from '@inferry/contracts';
import type { WorkerDeps } from '@inferry/worker';
import type { Goal } from './choose.ts';
import type { CurveEnd, CurvePoint, Setup, SetupCurve } from './curve.ts';

/** Set for the process that measures. */
export const measuringName = 'INFERRY_MEASURING';

/** Sent to it once. */
export interface MeasureRequest {
  readonly manifest: ModelManifest;
  readonly device: { readonly kind: 'cpu' | 'cuda' | 'tensorrt'; readonly index: number };
  readonly setup: Setup;
  readonly goal: Goal;
  /** For the measuring, without the loading. */
  readonly msMax: number;
  /** As a worker here would prepare. */
  readonly prepareIn: WorkerDeps['prepareIn'];
  readonly jpegDecoder: WorkerDeps['jpegDecoder'];
  /** Inputs of one row each, as jobs carry them; empty: zeros go into the model itself. */
  readonly payloads: readonly Uint8Array[];
}

/** Sent by it. Nothing follows `done` or `unloadable`. */
export type MeasureReport =
  | { readonly kind: 'loaded'; readonly preparedIn: SetupCurve['preparedIn'] }
  | { readonly kind: 'point'; readonly point: CurvePoint; readonly peakBytes: number }
  | { readonly kind: 'done'; readonly end: CurveEnd; readonly peakBytes: number }
  | { readonly kind: 'unloadable'; readonly reason: string };
