/** The policies to compare with, ready to be put into an experiment. */
import type { Policy, World } from '../world.ts';
import { AdaptiveLifo } from './adaptive-lifo.ts';
import { Cork, type CorkOptions } from './cork.ts';
import { Deferred } from './deferred.ts';
import { EarlyDrop } from './early-drop.ts';
import { FixedDelay, type FixedDelayOptions } from './fixed-delay.ts';
import { WorkerFill } from './worker-fill.ts';

type MakePolicy = (world: World) => Policy;

export function cork(version: CorkOptions['version'], latencyMaxMs: number): MakePolicy {
  return (world) => new Cork(world, { version, latencyMaxMs });
}

export function fixedDelay(options: FixedDelayOptions): MakePolicy {
  return (world) => new FixedDelay(world, options);
}

export function greedy(): MakePolicy {
  return fixedDelay({ delayMs: 0 });
}

export function earlyDrop(targetMs: number): MakePolicy {
  return (world) => new EarlyDrop(world, targetMs);
}

export function adaptiveLifo(): MakePolicy {
  return (world) => new AdaptiveLifo(world);
}

export function workerFill(delayMs: number): MakePolicy {
  return (world) => new WorkerFill(world, delayMs);
}

export function deferred(targetMs: number): MakePolicy {
  return (world) => new Deferred(world, targetMs);
}
