import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from './frame.ts';
import {
  decodeInput,
  encodeInput,
  type JobInput,
  type JobOutput,
  outputOf,
  type OutputHeader,
  outputParts,
  type PipelineRow,
} from './payload.ts';
import { type Datatype, datatypeBytes, type Tensor } from './tensor.ts';
import type { JsonValue } from './json.ts';

const tensors: fc.Arbitrary<Tensor[]> = fc.array(
  fc.record({
    name: fc.string(),
    datatype: fc.constantFrom(...(Object.keys(datatypeBytes) as Datatype[])),
    shape: fc.array(fc.nat(100), { maxLength: 4 }),
    bytes: fc.uint8Array({ maxLength: 60 }),
  }),
  { maxLength: 4 },
);
const json = fc.json().map((text) => JSON.parse(text) as JsonValue);
const fieldNames = fc.oneof(fc.string(), fc.constantFrom('$blob', 'json', '__proto__', 'toString'));
const rows: fc.Arbitrary<PipelineRow[]> = fc.array(
  fc
    .array(fc.tuple(fieldNames, fc.oneof(json, fc.uint8Array({ maxLength: 60 }))), { maxLength: 4 })
    .map((fields) => Object.fromEntries(fields) as PipelineRow),
  { maxLength: 4 },
);

function throughFrame(input: JobInput): JobInput {
  return decodeInput(encodeInput(input));
}

/** Compared as text, so that a field called `__proto__` counts too; bytes are told from lists. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner instanceof Uint8Array ? `bytes ${[...inner].join(' ')}` : inner,
  );
}

describe('inputs', () => {
  test('tensors come back as they were, with the outputs wanted', () => {
    const outputs = fc.option(fc.array(fc.string(), { maxLength: 3 }), { nil: undefined });
    fc.assert(
      fc.property(tensors, outputs, (given, wanted) => {
        const input: JobInput = {
          form: 'tensors',
          tensors: given,
          ...(wanted === undefined ? {} : { outputs: wanted }),
        };
        expect(throughFrame(input)).toEqual(input);
      }),
    );
  });

  test('rows of JSON and bytes come back as they were, whatever the fields are called', () => {
    fc.assert(
      fc.property(rows, (given) => {
        const input: JobInput = { form: 'pipeline', rows: given };
        expect(textOf(throughFrame(input))).toBe(textOf(input));
      }),
    );
  });

  test('JSON that looks like a reference to bytes stays JSON', () => {
    const input: JobInput = {
      form: 'pipeline',
      rows: [
        { image: Uint8Array.of(1, 2), field: { $blob: 0 }, $blob: { $blob: 1 }, json: { json: 1 } },
        { field: [{ $blob: 0 }], image: Uint8Array.of(3) },
      ],
    };
    expect(throughFrame(input)).toEqual(input);
  });

  test('no rows, rows without fields and empty bytes are kept', () => {
    for (const given of [[], [{}], [{}, { image: new Uint8Array() }]]) {
      const input: JobInput = { form: 'pipeline', rows: given };
      expect(throughFrame(input)).toEqual(input);
    }
  });

  test('an integer beyond 2^53 becomes its decimal text, at any depth', () => {
    const input: JobInput = {
      form: 'pipeline',
      rows: [{ id: 2n ** 63n, deep: { list: [1, -(2n ** 60n), null, 'x', { id: 5n }] } }],
    };
    expect(throughFrame(input)).toEqual({
      form: 'pipeline',
      rows: [
        {
          id: '9223372036854775808',
          deep: { list: [1, '-1152921504606846976', null, 'x', { id: '5' }] },
        },
      ],
    });
  });

  test('the bytes of an input are views into its frame', () => {
    const frame = encodeInput({ form: 'pipeline', rows: [{ image: Uint8Array.of(1, 2) }] });
    const input = decodeInput(frame);
    const image = input.form === 'pipeline' ? input.rows[0]?.['image'] : undefined;
    expect((image as Uint8Array).buffer).toBe(frame.buffer);
  });
});

describe('outputs', () => {
  function throughOutcome(output: JobOutput): JobOutput {
    const { header, blobs } = outputParts(output);
    const frame = decodeFrame<{ readonly output: OutputHeader }>(
      encodeFrame({ output: header }, blobs),
    );
    return outputOf(frame.header.output, frame.blobs);
  }

  test('tensors and rows come back as they were', () => {
    fc.assert(
      fc.property(tensors, (given) => {
        const output: JobOutput = { form: 'tensors', tensors: given };
        expect(throughOutcome(output)).toEqual(output);
      }),
    );
    fc.assert(
      fc.property(fc.array(json, { maxLength: 4 }), (given) => {
        const output: JobOutput = { form: 'rows', rows: given };
        expect(throughOutcome(output)).toEqual(output);
      }),
    );
  });
});
