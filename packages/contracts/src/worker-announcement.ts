/** What a worker tells the gateways about itself, renewed while it lives. */
import type { ModelManifest } from './manifest.ts';
import type { CarriedOut } from './model-control.ts';
import type { ModelRouting } from './model-routing.ts';

export interface ServedModel {
  /** The manifest without what only the worker's host understands (`file` is null). */
  readonly manifest: ModelManifest;
  /** retiring: what waits is still served, but no new request is to be sent here; it is about to be unloaded. */
  readonly state: 'loading' | 'ready' | 'failed' | 'retiring';
  /** What the sessions really run on, after a warm-up run. */
  readonly provider: string;
  readonly device: string;
  readonly loadMs: number;
  /** Why it failed; absent in every other state. */
  readonly reason?: string;
}

export interface WorkerAnnouncement {
  readonly v: 1;
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly state: 'warming' | 'serving' | 'draining';
  readonly startedAtMs: number;
  readonly models: readonly ServedModel[];
  /** How requests choose between versions, by model, as this worker's repository says; absent: nothing is said there. */
  readonly routing?: Readonly<Record<string, ModelRouting>>;
  /** What became of the last order of each model, by model; absent: this worker was given none. */
  readonly carriedOut?: Readonly<Record<string, CarriedOut>>;
}
