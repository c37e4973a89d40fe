/** How well a variant answers, from its answers to samples beside the original's. Pure. */
import type { JobOutput } from '@inferry/contracts';
import { quantile } from '../tune/curve.ts';
import {
  cosineOf,
  type Difference,
  joined,
  type PairAnswer,
  type PairTiming,
} from '@inferry/worker';

export interface Judged {
  readonly answer: PairAnswer;
  /** The right answer, where it is known. */
  readonly label: string | null;
}

interface OutputAccuracy {
  readonly name: string;
  readonly maxAbs: number;
  readonly meanAbs: number;
  /** Of all samples together. */
  readonly cosine: number;
}

export interface Accuracy {
  readonly samples: number;
  readonly outputs: readonly OutputAccuracy[];
  /** What is agreed on: the label of the answer, or a cosine of at least 0.99 in every output. */
  readonly agreesOn: 'label' | 'cosine';
  /** Share of the samples. */
  readonly agreement: number;
  /** What the share of all such inputs is with 95 % confidence, at least. */
  readonly agreementLeast: number;
  /** Null where no sample has a label, or the answers have none. */
  readonly correct: {
    readonly samples: number;
    readonly original: number;
    readonly variant: number;
  } | null;
}

export interface Speed {
  readonly rows: number;
  readonly rounds: number;
  /** Medians, ms. */
  readonly originalMs: number;
  readonly variantMs: number;
  /** Original by variant, round by round: more than 1 is faster. The median, and the quartiles. */
  readonly ratio: number;
  readonly ratioLow: number;
  readonly ratioHigh: number;
}

const cosineMin = 0.99;

/** Of at least one sample. */
export function accuracyOf(judged: readonly Judged[]): Accuracy {
  const labels = judged.map(({ answer, label }) => ({
    original: labelOf(answer.original),
    variant: labelOf(answer.variant),
    right: label,
  }));
  const agreesOn = labels.every(({ original }) => original !== null) ? 'label' : 'cosine';
  const agrees = judged.filter(({ answer }, i) =>
    agreesOn === 'label'
      ? labels[i]?.original === labels[i]?.variant
      : answer.differences.every((difference) => cosineOf(difference) >= cosineMin),
  );
  const known = agreesOn === 'label' ? labels.filter(({ right }) => right !== null) : [];
  const shareOf = (right: readonly unknown[]): number => right.length / known.length;
  return {
    samples: judged.length,
    outputs: outputsOf(judged.map(({ answer }) => answer.differences)),
    agreesOn,
    agreement: agrees.length / judged.length,
    agreementLeast: leastShare(agrees.length, judged.length),
    correct:
      known.length === 0
        ? null
        : {
            samples: known.length,
            original: shareOf(known.filter(({ original, right }) => original === right)),
            variant: shareOf(known.filter(({ right, variant }) => variant === right)),
          },
  };
}

/** Of at least one round. */
export function speedOf(rows: number, timings: readonly PairTiming[]): Speed {
  const ratios = timings.map(({ originalMs, variantMs }) => originalMs / variantMs);
  return {
    rows,
    rounds: timings.length,
    originalMs: quantile(
      timings.map(({ originalMs }) => originalMs),
      0.5,
    ),
    variantMs: quantile(
      timings.map(({ variantMs }) => variantMs),
      0.5,
    ),
    ratio: quantile(ratios, 0.5),
    ratioLow: quantile(ratios, 0.25),
    ratioHigh: quantile(ratios, 0.75),
  };
}

function outputsOf(all: readonly (readonly Difference[])[]): readonly OutputAccuracy[] {
  const byName = new Map<string, Difference>();
  for (const difference of all.flat()) {
    const before = byName.get(difference.name);
    byName.set(difference.name, before === undefined ? difference : joined(before, difference));
  }
  return [...byName.values()].map((difference) => ({
    name: difference.name,
    maxAbs: difference.maxAbs,
    meanAbs: difference.count === 0 ? difference.maxAbs : difference.sumAbs / difference.count,
    cosine: cosineOf(difference),
  }));
}

/** The lower end of Wilson's interval, one-sided, 95 %: few samples prove little. */
function leastShare(hits: number, of: number): number {
  const z = 1.644854;
  const share = hits / of;
  const middle = share + z ** 2 / (2 * of);
  const spread = z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  return (middle - spread) / (1 + z ** 2 / of);
}

/** The label of a classifier's answer; null for any other answer. */
function labelOf(output: JobOutput): string | null {
  if (output.form !== 'rows') return null;
  const [row] = output.rows;
  if (typeof row !== 'object' || row === null || !('label' in row)) return null;
  return typeof row['label'] === 'string' ? row['label'] : null;
}
