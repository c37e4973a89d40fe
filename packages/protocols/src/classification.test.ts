import { splitBytes } from '@inferry/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { classify } from './classification.ts';
import { adder } from './models-fixture.test.ts';

const decoder = new TextDecoder();

const manifest = { ...adder, maxBatchSize: 8 };

test('classification ranks as a sort of all values would, however many there are', () => {
  const value = fc.oneof(fc.constantFrom(NaN, 0, -0, 1, Infinity), fc.float());
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 300 }),
      fc.integer({ min: 1, max: 20 }),
      (values, n) => {
        const tensor = { name: 't0', datatype: 'FP32', shape: [1, values.length] } as const;
        const ranked = values
          .map((one, index) => ({ one: Math.fround(one), index }))
          .toSorted((a, b) =>
            Number.isNaN(a.one) || Number.isNaN(b.one)
              ? Number(Number.isNaN(a.one)) - Number(Number.isNaN(b.one)) || a.index - b.index
              : b.one - a.one || a.index - b.index,
          )
          .map(({ index }) => String(index));
        const texts = classify(
          { ...tensor, bytes: new Uint8Array(Float32Array.from(values).buffer) },
          n,
          manifest,
        );
        const elements = splitBytes(texts.bytes, Math.min(n, values.length)) ?? [];
        const said = elements.map((element) => decoder.decode(element).split(':')[1]);
        expect(said).toEqual(ranked.slice(0, n));
      },
    ),
  );
});
