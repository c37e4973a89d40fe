/** The work itself: payloads are fetched together, then decoded and preprocessed each on its own. */
import {
  type ClassId,
  decodeInput,
  failure,
  type JobInput,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import {
  type JpegDecoderChoice,
  openPreparer,
  type PreparedBatch,
  type PreparedItem,
  type Preparer,
} from '@inferry/pipelines';
import { openPayloadReader, type PayloadReader, type PayloadReaderOptions } from '@inferry/queue';
import { type Clock, invariant } from '@inferry/runtime';
import type {
  NotReady,
  Prepared,
  PreparationItem,
  PreparedChunk,
  ReadyFacts,
} from './preparation.ts';

/** What a thread that prepares is told at its start. Plain data. */
export interface ThreadData {
  /** By what {@link prepareChunk} is asked with. */
  readonly manifests: ReadonlyMap<string, ModelManifest>;
  /** Null where every payload travels with its job. */
  readonly payloadReaderOptions: PayloadReaderOptions | null;
  readonly jpegDecoder: JpegDecoderChoice;
}

/** What a thread prepares with. */
export interface ChunkDeps {
  /** Others come and go while it prepares. */
  readonly manifests: Map<string, ModelManifest>;
  readonly reader: PayloadReader | null;
  readonly preparer: Preparer;
  readonly clock: Clock;
}

/** Throws where the image decoder that was asked for cannot be had; the worker looked before it started threads. */
export async function openChunkDeps(data: ThreadData, clock: Clock): Promise<ChunkDeps> {
  const { jpegDecoder, manifests, payloadReaderOptions } = data;
  const preparer = await openPreparer({ jpegDecoder });
  if (!preparer.ok) throw new Error(preparer.error);
  const reader = payloadReaderOptions === null ? null : openPayloadReader(payloadReaderOptions);
  return { manifests: new Map(manifests), reader, preparer: preparer.value, clock };
}

export async function closeChunkDeps({ preparer, reader }: ChunkDeps): Promise<void> {
  preparer.close();
  await reader?.close();
}

/** Nothing is prepared under the key any more; what was read for its manifest alone goes. */
export function forgetManifest({ manifests, preparer }: ChunkDeps, key: string): void {
  const manifest = manifests.get(key);
  manifests.delete(key);
  const digests = [...manifests.values()].map(({ digest }) => digest);
  if (manifest !== undefined && !digests.includes(manifest.digest)) preparer.forget(manifest);
}

/** Prepared items in the memory of the thread that prepared them. */
export interface Chunk extends PreparedChunk<ReadyFacts | NotReady> {
  /** Of a ready item, in the order of the model's inputs; views that hold until something else is prepared. */
  readonly tensors: (position: number) => readonly Tensor[];
  /** The memory is used again. */
  readonly close: () => void;
}

/**
 * One result for each item, in order: an input that cannot be used fails alone. Never throws. `key` is that of
 * the manifest, where it is another than the class.
 */
export async function prepareChunk(
  cls: ClassId,
  items: readonly PreparationItem[],
  deps: ChunkDeps,
  key: string = cls,
): Promise<Chunk> {
  const manifest = deps.manifests.get(key);
  invariant(manifest !== undefined, `${cls} is served here`);
  const startMs = deps.clock.nowMs();
  const payloads = await fetchAll(cls, items, deps.reader);
  const fetched = payloads.flatMap((payload, i) =>
    payload instanceof Uint8Array && items[i]?.payload === null ? [payload] : [],
  );
  const fetchMs = deps.clock.nowMs() - startMs;
  const batch = deps.preparer.openBatch();
  const prepared = await Promise.all(
    payloads.map((payload) => prepareOne(batch, manifest, payload)),
  );
  return {
    items: prepared.map((one) => ('facts' in one ? one.facts : one)),
    fetchMs,
    tensors(position) {
      const one = prepared[position];
      invariant(one !== undefined && 'facts' in one, 'tensors are those of a ready item');
      return inOrder(manifest, one.item.tensors);
    },
    close() {
      batch.close();
      deps.reader?.recycle(fetched);
    },
  };
}

/** The chunk with tensors in buffers of their own: free to be transferred, and aligned for typed views. */
export function detached(chunk: Chunk): PreparedChunk {
  const items = chunk.items.map((item, position): Prepared => {
    if (item.kind !== 'ready') return item;
    const tensors = chunk
      .tensors(position)
      .map((tensor) => ({ ...tensor, bytes: new Uint8Array(tensor.bytes) }));
    return { ...item, run: { tensors, rows: item.rows } };
  });
  chunk.close();
  return { items, fetchMs: chunk.fetchMs };
}

async function fetchAll(
  cls: ClassId,
  items: readonly PreparationItem[],
  reader: PayloadReader | null,
): Promise<readonly (Uint8Array | NotReady)[]> {
  const gone: NotReady = { kind: 'gone' };
  const ids = items.filter((item) => item.payload === null).map((item) => item.id);
  if (ids.length === 0 || reader === null) return items.map((item) => item.payload ?? gone);
  try {
    const fetched = await reader.read(cls, ids);
    const byId = new Map(ids.map((id, i) => [id, fetched[i] ?? null]));
    return items.map((item) => item.payload ?? byId.get(item.id) ?? gone);
  } catch (cause) {
    const unreachable: NotReady = { kind: 'unreachable', reason: reasonOf(cause) };
    return items.map((item) => item.payload ?? unreachable);
  }
}

interface ReadyOne {
  readonly facts: ReadyFacts;
  readonly item: PreparedItem;
}

async function prepareOne(
  batch: PreparedBatch,
  manifest: ModelManifest,
  payload: Uint8Array | NotReady,
): Promise<ReadyOne | NotReady> {
  if (!(payload instanceof Uint8Array)) return payload;
  try {
    const input = decodeInput(payload);
    const prepared = await batch.prepare(manifest, input);
    if (!prepared.ok) return { kind: 'refused', failure: prepared.error };
    const item = prepared.value;
    const { outputs, paddedElements: padding, placements, rows } = item;
    const tensors = inOrder(manifest, item.tensors);
    const shape = shapeOf(tensors);
    const elements = { useful: elementsOf(tensors) - padding, padding };
    const request = withoutBytes(input);
    return { facts: { kind: 'ready', rows, shape, elements, outputs, placements, request }, item };
  } catch (cause) {
    const detail = `The payload could not be prepared: ${reasonOf(cause)}`;
    return { kind: 'refused', failure: failure('internal', detail) };
  }
}

function shapeOf(tensors: readonly Tensor[]): string {
  return JSON.stringify(
    tensors.map(({ name, datatype, shape }) => [name, datatype, shape.slice(1)]),
  );
}

function elementsOf(tensors: readonly Tensor[]): number {
  let sum = 0;
  for (const { shape } of tensors) sum += shape.reduce((product, size) => product * size, 1);
  return sum;
}

/** Callers may name their tensors in any order; items of one run must agree. */
function inOrder(manifest: ModelManifest, tensors: readonly Tensor[]): readonly Tensor[] {
  if (tensors.length === 1) return tensors;
  const place = new Map(manifest.inputs.map((input, i) => [input.name, i]));
  return tensors.toSorted((a, b) => (place.get(a.name) ?? 0) - (place.get(b.name) ?? 0));
}

function withoutBytes(input: JobInput): JobInput {
  return input.form === 'tensors' ? { ...input, tensors: [] } : { form: 'pipeline', rows: [] };
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
