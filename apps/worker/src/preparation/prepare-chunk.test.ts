/** Fetching payloads and preparing each on its own. */
import { classOf, encodeInput, newJobId } from '@inferry/contracts';
import { openPreparer } from '@inferry/pipelines';
import type { PayloadReader } from '@inferry/queue';
import { seededRandom, VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { modelManifest } from '../worker.fixture.ts';
import { detached, prepareChunk } from './prepare-chunk.ts';

const echo = classOf('echo', '1');
const random = seededRandom(1);
const tensor = { name: 'x', datatype: 'FP32', shape: [1, 1], bytes: new Uint8Array(4) } as const;
const payload = encodeInput({ form: 'tensors', tensors: [tensor] });

const preparer = await openPreparer({ jpegDecoder: 'auto' });
if (!preparer.ok) throw new Error(preparer.error);
const deps = { preparer: preparer.value, clock: new VirtualClock() };

function chunk(reader: PayloadReader['read'], payloads: readonly (Uint8Array | null)[]) {
  const items = payloads.map((each) => ({ id: newJobId(0, random), rows: 1, payload: each }));
  const manifests = new Map([[echo, modelManifest]]);
  return prepareChunk(echo, items, {
    manifests,
    reader: { read: reader, recycle: () => undefined, close: () => Promise.resolve() },
    ...deps,
  });
}

describe('prepareChunk', () => {
  test('only what did not travel with its job is fetched, in one call', async () => {
    const asked: number[] = [];
    const read: PayloadReader['read'] = (_, ids) => {
      asked.push(ids.length);
      return Promise.resolve([payload, null]);
    };
    const { items } = await chunk(read, [payload, null, null]);
    expect(asked).toEqual([2]);
    expect(items.map((item) => item.kind)).toEqual(['ready', 'ready', 'gone']);
  });

  test('elements are those of all its tensors, and none is padding where the caller sent them', async () => {
    const wide = { ...tensor, shape: [3, 1], bytes: new Uint8Array(12) };
    const three = encodeInput({ form: 'tensors', tensors: [wide] });
    const { items } = await chunk(() => Promise.resolve([]), [three]);
    expect(items).toMatchObject([{ kind: 'ready', elements: { useful: 3, padding: 0 } }]);
  });

  test('a queue that is away makes payloads unreachable, not gone', async () => {
    const { items } = await chunk(() => Promise.reject(new Error('away')), [payload, null]);
    expect(items).toMatchObject([{ kind: 'ready' }, { kind: 'unreachable', reason: 'away' }]);
  });

  test('tensors do not share a buffer with the payload they came in', async () => {
    const { items } = detached(await chunk(() => Promise.resolve([]), [payload]));
    const [item] = items;
    const run = item?.kind === 'ready' ? item.run : undefined;
    const bytes = run !== undefined && 'tensors' in run ? run.tensors[0]?.bytes : undefined;
    expect(bytes?.buffer.byteLength).toBe(4);
  });

  test('tensors are put in the order of the inputs of the model', async () => {
    const inputs = ['b', 'a'].map((name) => ({ name, datatype: 'FP32', shape: [-1, 1] }) as const);
    const twoInputs = { ...modelManifest, inputs };
    const tensors = ['a', 'b'].map((name) => ({ ...tensor, name }));
    const prepared = await prepareChunk(
      echo,
      [{ id: newJobId(0, random), rows: 1, payload: encodeInput({ form: 'tensors', tensors }) }],
      { manifests: new Map([[echo, twoInputs]]), reader: null, ...deps },
    );
    expect(prepared.tensors(0).map(({ name }) => name)).toEqual(['b', 'a']);
  });
});
