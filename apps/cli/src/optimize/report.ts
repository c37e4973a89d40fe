/** What `inferry models optimize` prints of each variant. Pure. */
import { counted, figure, table } from '../tune/plot.ts';
import type { Accuracy, Speed } from './accuracy.ts';
import type { Level, Variant } from './options.ts';

export interface VariantReport {
  readonly variant: Variant;
  /** Of the graph; null for other variants. */
  readonly level: Level | null;
  /** Samples; null where nothing is calibrated. */
  readonly calibratedOn: number | null;
  /** Too few samples: those that calibrated were also those that judged. */
  readonly judgesCalibrated: boolean;
  readonly bytes: number;
  readonly accuracy: Accuracy;
  readonly speeds: readonly Speed[];
  /** Where it was put; null for one that disagrees with the original, which is not kept. */
  readonly folder: string | null;
}

export interface OptimizeResult {
  readonly model: string;
  /** Of the original's file. */
  readonly bytes: number;
  readonly minAgreement: number;
  readonly reports: readonly VariantReport[];
}

export function optimizeText(result: OptimizeResult): string {
  const sections = result.reports.map((report) => variantText(report, result));
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function variantText(
  report: VariantReport,
  { bytes, minAgreement, model }: OptimizeResult,
): string[] {
  const { accuracy, folder, level, variant } = report;
  const { agreement, agreementLeast, agreesOn, correct, outputs, samples } = accuracy;
  const share = report.bytes / bytes;
  const lines = [
    `${model} as ${variant}${level === null ? '' : ` (${level})`}, against the original on ${counted(samples, 'sample')}`,
    `  size       ${kilobytes(report.bytes)} instead of ${kilobytes(bytes)} (${figure(share * 100)} %)`,
    ...report.speeds.map(speedLine),
    ...table(
      ['  output', 'max abs', 'mean abs', 'cosine'],
      outputs.map(({ cosine, maxAbs, meanAbs, name }) => [
        `  ${name}`,
        precise(maxAbs),
        precise(meanAbs),
        cosine.toFixed(6),
      ]),
    ),
    `  agreement  ${percent(agreement)} (${agreesOn === 'label' ? 'the same label' : 'cosine of every output at least 0.99'})`,
    `             of all such inputs at least ${percent(agreementLeast)}, with 95 % confidence`,
  ];
  if (correct !== null) {
    lines.push(
      `  accuracy   ${percent(correct.variant)} instead of ${percent(correct.original)} (${counted(correct.samples, 'labelled sample')})`,
    );
  }
  lines.push(...remarks(report));
  if (folder === null) {
    lines.push(
      `  refused: it agrees on ${percent(agreement)} of the samples, ${percent(minAgreement)} are asked for`,
      '  nothing was written',
    );
  } else {
    lines.push(
      `  written to ${folder}`,
      '  not served: to serve it as a version of its own, move that folder beside the others',
    );
  }
  return lines;
}

function remarks({ calibratedOn, judgesCalibrated, level, variant }: VariantReport): string[] {
  const lines: string[] = [];
  if (calibratedOn !== null) {
    const apart = judgesCalibrated ? 'which judged it too, being few' : 'which did not judge it';
    lines.push(`  calibrated on ${counted(calibratedOn, 'sample')}, ${apart}`);
  }
  if (level === 'all') {
    lines.push('  its layouts suit the processor of this machine: for machines like this one only');
  }
  if (variant === 'graph') {
    lines.push('  fused for the CPU: other devices need the original; the gain is in loading');
  }
  if (variant === 'fp16') {
    lines.push(
      '  the CPU computes much of it in fp32, with casts between:',
      '  the gain is on a GPU, and in size',
    );
  }
  return lines;
}

function speedLine({
  originalMs,
  ratio,
  ratioHigh,
  ratioLow,
  rounds,
  rows,
  variantMs,
}: Speed): string {
  const spread = `${figure(ratioLow)} to ${figure(ratioHigh)} in half of ${rounds} rounds`;
  return (
    `  ${rows === 1 ? '1 row' : `${rows} rows`}`.padEnd(13) +
    `${figure(variantMs)} ms instead of ${figure(originalMs)} ms: ${figure(ratio)}x as fast (${spread})`
  );
}

function kilobytes(bytes: number): string {
  return `${figure(bytes / 1_000)} kB`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** Small differences matter: three digits, whatever the size. */
function precise(value: number): string {
  return Number.isFinite(value) ? value.toPrecision(3) : 'apart';
}

/** The same as plain data; what is infinitely far apart is null. */
export function optimizeJson({ bytes, minAgreement, model, reports }: OptimizeResult): object {
  return { model, bytes, min_agreement: minAgreement, variants: reports.map(reportJson) };
}

/** One variant's part of it, which is kept beside the variant too. */
export function reportJson(report: VariantReport): unknown {
  return snakeCased(report);
}

function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}
