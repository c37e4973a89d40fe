/** What a worker tells the gateways about itself, renewed while it lives. */
import type { ModelManifest } from './manifest.ts';

export interface ServedModel {
  /** The manifest without what only the worker's host understands (`file` is null). */
  readonly manifest: ModelManifest;
  readonly state: 'loading' | 'ready' | 'failed';
  /** What the sessions really run on, after a warm-up run. */
  readonly provider: string;
  readonly device: string;
  readonly loadMs: number;
}

export interface WorkerAnnouncement {
  readonly v: 1;
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly state: 'warming' | 'serving' | 'draining';
  readonly startedAtMs: number;
  readonly models: readonly ServedModel[];
}
