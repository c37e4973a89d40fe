/** The work itself: payloads are fetched together, then decoded and preprocessed each on its own. */
import {
  type ClassId,
  decodeInput,
  failure,
  type JobInput,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import { prepare } from '@inferry/pipelines';
import type { PayloadReader } from '@inferry/queue';
import { type Clock, invariant } from '@inferry/runtime';
import type { Prepared, PreparationItem, PreparedChunk } from './preparation.ts';

export interface ChunkDeps {
  readonly manifests: ReadonlyMap<ClassId, ModelManifest>;
  /** Null where every payload travels with its job. */
  readonly reader: PayloadReader | null;
  readonly clock: Clock;
}

/** One result for each item, in order: an input that cannot be used fails alone. Never throws. */
export async function prepareChunk(
  cls: ClassId,
  items: readonly PreparationItem[],
  deps: ChunkDeps,
): Promise<PreparedChunk> {
  const manifest = deps.manifests.get(cls);
  invariant(manifest !== undefined, `${cls} is served here`);
  const startMs = deps.clock.nowMs();
  const payloads = await fetchAll(cls, items, deps.reader);
  const fetchMs = deps.clock.nowMs() - startMs;
  const prepared = await Promise.all(payloads.map((payload) => prepareOne(manifest, payload)));
  return { items: prepared, fetchMs };
}

async function fetchAll(
  cls: ClassId,
  items: readonly PreparationItem[],
  reader: PayloadReader | null,
): Promise<readonly (Uint8Array | Prepared)[]> {
  const gone: Prepared = { kind: 'gone' };
  const ids = items.filter((item) => item.payload === null).map((item) => item.id);
  if (ids.length === 0 || reader === null) return items.map((item) => item.payload ?? gone);
  try {
    const fetched = await reader.read(cls, ids);
    const byId = new Map(ids.map((id, i) => [id, fetched[i] ?? null]));
    return items.map((item) => item.payload ?? byId.get(item.id) ?? gone);
  } catch (cause) {
    const unreachable: Prepared = { kind: 'unreachable', reason: reasonOf(cause) };
    return items.map((item) => item.payload ?? unreachable);
  }
}

async function prepareOne(
  manifest: ModelManifest,
  payload: Uint8Array | Prepared,
): Promise<Prepared> {
  if (!(payload instanceof Uint8Array)) return payload;
  try {
    const input = decodeInput(payload);
    const item = await prepare(manifest, input);
    if (!item.ok) return { kind: 'refused', failure: item.error };
    const { rows, outputs } = item.value;
    const tensors = inOrder(manifest, item.value.tensors).map(owned);
    return { kind: 'ready', tensors, rows, outputs, request: withoutBytes(input) };
  } catch (cause) {
    const detail = `The payload could not be prepared: ${reasonOf(cause)}`;
    return { kind: 'refused', failure: failure('internal', detail) };
  }
}

/** Callers may name their tensors in any order; items of one run must agree. */
function inOrder(manifest: ModelManifest, tensors: readonly Tensor[]): readonly Tensor[] {
  const place = new Map(manifest.inputs.map((input, i) => [input.name, i]));
  return tensors.toSorted((a, b) => (place.get(a.name) ?? 0) - (place.get(b.name) ?? 0));
}

/** A buffer of its own: aligned for typed views, and free to be transferred without taking others along. */
function owned(tensor: Tensor): Tensor {
  const { bytes } = tensor;
  const isWhole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  // A Buffer may lie in Node's pool or in memory of a native library, which cannot be transferred.
  if (isWhole && !Buffer.isBuffer(bytes)) return tensor;
  return { ...tensor, bytes: new Uint8Array(bytes) };
}

function withoutBytes(input: JobInput): JobInput {
  return input.form === 'tensors' ? { ...input, tensors: [] } : { form: 'pipeline', rows: [] };
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
