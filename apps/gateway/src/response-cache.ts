/**
 * Answers of models that allow it, kept in this gateway for held requests with the same input. Bounded in
 * bytes: what was longest unused goes first. What is kept of a version is found for as long as all workers run
 * the content that answered, so that a changed file or configuration begins anew; while they differ, nothing is
 * kept, nor found.
 */
import { createHash } from 'node:crypto';

import {
  classOf,
  decodeOutput,
  encodeOutput,
  inputPieces,
  isComposed,
  type JobInput,
  type JobOutput,
  type ModelManifest,
} from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { StatisticsTally } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';

import type { GatewayTelemetry } from './telemetry.ts';

/** What an entry takes beside its output: its key, and its place in the map. */
const entryBytes = 1_024;

interface CacheDeps {
  readonly catalogue: Pick<ModelCatalogue, 'contentOf'>;
  readonly clock: Clock;
  readonly statistics: StatisticsTally;
  readonly telemetry: GatewayTelemetry;
}

/** What was found. */
export interface CacheLook {
  /** Undefined where nothing is kept for the input. */
  readonly output: JobOutput | undefined;
  /** Under which the answer may be kept. */
  readonly key: string;
}

export class ResponseCache {
  readonly #bytesMax: number;
  readonly #deps: CacheDeps;
  /** Outputs as they are encoded, whose size is known; the longest unused first. */
  readonly #entries = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(bytesMax: number, deps: CacheDeps) {
    this.#bytesMax = bytesMax;
    this.#deps = deps;
  }

  /**
   * Looks for the answer to a request whose headers were read at `startedAtMs`. Undefined where answers of
   * the model are not kept. Counts; a hit is a request that succeeded.
   */
  look(manifest: ModelManifest, input: JobInput, startedAtMs: number): CacheLook | undefined {
    if (this.#bytesMax === 0 || !isKept(manifest)) return undefined;
    const { catalogue, clock, statistics, telemetry } = this.#deps;
    const { name, version } = manifest;
    const content = catalogue.contentOf(manifest);
    if (content === undefined) return undefined;
    const beganMs = clock.nowMs();
    const key = keyOf(manifest, content, input);
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    const nowMs = clock.nowMs();
    const lookUs = (nowMs - beganMs) * 1_000;
    const cls = classOf(name, version);
    if (entry === undefined) {
      statistics.count(cls, { cacheMisses: 1, cacheMissUs: lookUs });
    } else {
      const wholeUs = (nowMs - startedAtMs) * 1_000;
      statistics.count(cls, { succeeded: 1, wholeUs, cacheHits: 1, cacheHitUs: lookUs });
    }
    telemetry.cacheLooked(name, entry === undefined ? 'miss' : 'hit');
    return { output: entry === undefined ? undefined : decodeOutput(entry), key };
  }

  /** Keeps a copy of the answer to a request that {@link look} found nothing for; not one that is larger than the cache. */
  keep({ name, version }: ModelManifest, key: string, output: JobOutput): void {
    const { clock, statistics, telemetry } = this.#deps;
    const beganMs = clock.nowMs();
    const entry = encodeOutput(output);
    const bytes = sizeOf(entry);
    if (bytes > this.#bytesMax) return;
    this.#drop(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes + bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
    this.#entries.set(key, entry);
    this.#bytes += bytes;
    telemetry.cacheHolds(this.#bytes);
    const cacheMissUs = (clock.nowMs() - beganMs) * 1_000;
    statistics.count(classOf(name, version), { cacheMissUs });
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(entry);
  }
}

/** What a composed model answers depends on the models that it runs, and they may change without it. */
function isKept(manifest: ModelManifest): boolean {
  return manifest.hasResponseCache === true && !isComposed(manifest);
}

/** Of all that an answer depends on: the model, its content, its input, the outputs that are wanted. */
function keyOf({ digest, name, version }: ModelManifest, content: number, input: JobInput): string {
  const hash = createHash('sha256').update(`${classOf(name, version)}\n${digest}\n${content}\n`);
  for (const piece of inputPieces(input)) hash.update(piece);
  return hash.digest('base64');
}

function sizeOf(entry: Uint8Array): number {
  return entry.length + entryBytes;
}
