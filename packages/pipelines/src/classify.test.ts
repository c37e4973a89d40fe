/** Labels and scores are those of numpy (golden/rows.py), and the best few those of a plain sort. */
import { readFileSync } from 'node:fs';
import type { ClassifySpec, Datatype } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { classify } from './classify.ts';
import { topPlaces } from './top-k.ts';

interface Ranking {
  readonly name: string;
  readonly datatype: Datatype;
  readonly activation: ClassifySpec['activation'];
  readonly topK: number;
  readonly threshold: number | null;
  readonly shape: readonly [number, number];
  readonly bytes: string;
  readonly rows: readonly {
    readonly best: number;
    readonly places: readonly number[];
    readonly scores: readonly number[];
  }[];
}

interface Answer {
  readonly label: string;
  readonly score: number;
  readonly top_k: readonly { readonly label: string; readonly score: number }[];
}

const file = new URL('../golden/rows.json', import.meta.url);
const { rankings } = JSON.parse(readFileSync(file, 'utf8')) as { readonly rankings: Ranking[] };

describe('the scores of a classifier', () => {
  test.each(rankings.map((ranking) => [ranking.name, ranking] as const))(
    'are ranked as numpy ranks them: %s',
    (_, { datatype, activation, topK, threshold, shape, bytes, rows }) => {
      const labels = Array.from({ length: shape[1] }, (_unused, i) => `class ${i}`);
      const spec: ClassifySpec = {
        kind: 'classify',
        output: 'p',
        labels,
        topK,
        activation,
        threshold,
      };
      // A byte in front, so that the values are not aligned.
      const content = Buffer.from(bytes, 'base64');
      const raw = new Uint8Array(1 + content.length);
      raw.set(content, 1);
      const tensor = { name: 'p', datatype, shape, bytes: raw.subarray(1) };
      const answer = classify(spec, [tensor], shape[0]);
      if (!answer.ok || answer.value.form !== 'rows') throw new Error('no rows');
      const found = answer.value.rows as unknown as readonly Answer[];
      expect(found.map(({ label }) => label)).toEqual(rows.map(({ best }) => `class ${best}`));
      for (const [i, { top_k: topAnswers, label, score }] of found.entries()) {
        const places = rows[i]?.places.map((place) => `class ${place}`);
        expect(topAnswers.map((entry) => entry.label)).toEqual(places);
        for (const [at, entry] of topAnswers.entries()) {
          expect(entry.score).toBeCloseTo(rows[i]?.scores[at] ?? NaN, 12);
        }
        if (topAnswers[0] !== undefined) expect(topAnswers[0]).toEqual({ label, score });
      }
    },
  );
});

describe('the best few', () => {
  test('are those of a stable sort, whatever the scores and however many are wanted', () => {
    const score = fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 }));
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 200 }),
        fc.integer({ min: 0, max: 220 }),
        (list, k) => {
          const scores = Float64Array.from(list);
          const sorted = list
            .map((_, place) => place)
            .toSorted((a, b) => {
              const [first = 0, second = 0] = [scores[a], scores[b]];
              return first === second ? 0 : first > second ? -1 : 1;
            });
          expect([...topPlaces(scores, k)]).toEqual(sorted.slice(0, k));
        },
      ),
      { numRuns: 500 },
    );
  });
});
