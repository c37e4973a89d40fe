/** What `inferry tune` prints: the settings compared, the best one's curve, and what follows from it. Pure. */
import { answerMs } from '@inferry/scheduling';
import { type Candidate, candidateOf, type Goal, rateOf } from './choose.ts';
import { latencyOf, type Setup, type SetupCurve } from './curve.ts';
import { bar, barWithMark, counted, figure, table } from './plot.ts';

export interface TuneResult {
  /** `digits@1`. */
  readonly model: string;
  readonly device: string;
  readonly hardware: string;
  /** Inputs that were prepared; 0: zeros went into the model itself. */
  readonly inputs: number;
  readonly goal: Goal;
  /** What the model has at present. */
  readonly now: Setup;
  readonly curves: readonly SetupCurve[];
  /** Settings that could not be measured, and why. */
  readonly failures: readonly (Setup & { readonly reason: string })[];
  readonly best: Candidate;
}

const mebibyte = 1024 * 1024;
const barsMin = 10;

/** `columns`: width of the terminal. */
export function reportText(result: TuneResult, columns: number): string {
  const parts = [
    [headline(result)],
    settingsTable(result),
    result.failures.map((failed) => `${setupText(failed)}: not measured: ${failed.reason}`),
    curvePlot(result, columns),
    result.best.isFeasible ? recommendation(result) : infeasibility(result),
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

function headline({ device, goal, hardware, inputs, model }: TuneResult): string {
  const target =
    goal.latencyTargetMs === null
      ? 'no latency target: most rows a second'
      : `latency target ${goal.latencyTargetMs} ms`;
  const fed =
    inputs === 0 ? 'runs of zeros, nothing prepared' : `${counted(inputs, 'input')}, prepared`;
  return `${model} on ${device} (${hardware}); ${target}; ${fed}`;
}

function settingsTable({ best, curves, goal, now }: TuneResult): string[] {
  const names = [
    'instances',
    'threads',
    'batch',
    'p50',
    'p95',
    'answer',
    'rows/s',
    'MB',
    'bound by',
  ];
  const candidates = curves.map((curve) => candidateOf(curve, goal));
  const uncertainty = Math.max(...candidates.map(({ point }) => point.uncertainty));
  const rows = candidates
    .toSorted((a, b) => b.rowsPerSecond - a.rowsPerSecond)
    .map((candidate) => {
      const { curve, point } = candidate;
      const isNow = curve.instances === now.instances && curve.threads === now.threads;
      const isBest = curve === best.curve;
      return [
        `${isBest ? '*' : ''}${isNow ? 'now' : ''}`,
        String(curve.instances),
        String(curve.threads),
        String(point.rows),
        figure(point.p50Ms),
        figure(point.p95Ms),
        figure(candidate.answerMs),
        figure(candidate.rowsPerSecond),
        figure(curve.peakBytes / mebibyte),
        candidate.isFeasible ? boundWord(candidate) : 'too slow',
      ];
    });
  return [
    `Times in ms (means ±${figure(uncertainty * 100)} %); answer: with the wait for a batch; MB: peak`,
    ...table(['', ...names], rows),
  ];
}

/** Latency to the left, throughput to the right, one line a batch size. */
function curvePlot({ best, goal }: TuneResult, columns: number): string[] {
  const { curve } = best;
  const latency = latencyOf(curve.points);
  const points = curve.points.map((point) => ({
    point,
    ms: answerMs(latency, { ...goal, servers: curve.instances }, point.rows) ?? 0,
    rate: rateOf(point, goal.overheadMs) * curve.instances,
  }));
  const msMax = Math.max(...points.map(({ ms }) => ms));
  const rateMax = Math.max(...points.map(({ rate }) => rate));
  const cells = points.map(({ ms, point, rate }) => ({
    rows: `${point === best.point ? '*' : ''}${point.rows}`,
    ms: figure(ms),
    rate: figure(rate),
  }));
  const widthOf = (key: 'ms' | 'rate' | 'rows'): number =>
    Math.max(4, ...cells.map((cell) => cell[key].length));
  const fixed = widthOf('rows') + widthOf('ms') + widthOf('rate') + 6;
  const width = Math.max(barsMin, Math.floor((Math.min(columns, 120) - fixed) / 2));
  const target = goal.latencyTargetMs === null ? null : goal.latencyTargetMs / msMax;
  const lines = points.map(({ ms, rate }, i) => {
    const cell = cells[i];
    const left = `${(cell?.ms ?? '').padStart(widthOf('ms'))} ${barWithMark(ms / msMax, target, width)}`;
    const right = `${(cell?.rate ?? '').padStart(widthOf('rate'))} ${bar(rate / rateMax, width)}`;
    return `${(cell?.rows ?? '').padStart(widthOf('rows'))}  ${left}  ${right}`.trimEnd();
  });
  const leftTitle = 'answer ms'.padEnd(widthOf('ms') + 1 + width);
  const mark = target !== null && target <= 1 ? ', target │' : '';
  return [
    `Batches with ${setupText(curve)}${mark}`,
    `${'rows'.padStart(widthOf('rows'))}  ${leftTitle}  rows/s`,
    ...lines,
  ];
}

function recommendation(result: TuneResult): string[] {
  const { best, curves, goal, now } = result;
  const { curve, point } = best;
  const current = curves.find(
    ({ instances, threads }) => instances === now.instances && threads === now.threads,
  );
  const size = goal.rowsMax === 1 ? 'one row a run' : `max_batch_size ${point.rows}`;
  const lines = [
    `Best: ${size}, ${setupText(curve)}: ${figure(best.rowsPerSecond)} rows/s; ${sum(result, point.rows)}`,
    `Why: ${why(result)}`,
  ];
  if (current !== undefined && current !== curve) {
    const there = candidateOf(current, goal);
    const gain = best.rowsPerSecond / there.rowsPerSecond;
    const than = `${setupText(current)} has now (${figure(there.rowsPerSecond)} rows/s at best)`;
    lines.push(`That is ${figure(gain)} times what ${than}.`);
  }
  return lines;
}

function infeasibility(result: TuneResult): string[] {
  const { best, goal } = result;
  return [
    `Infeasible: no setting answers one row within ${goal.latencyTargetMs ?? 0} ms. The nearest, ${setupText(best.curve)}: ${sum(result, 1)}`,
    'A smaller or optimised model, a faster device or a higher target would do. Nothing is written.',
  ];
}

/** The arithmetic of an answer, as the scheduler does it. */
function sum({ best, goal }: TuneResult, rows: number): string {
  const { curve } = best;
  const tailMs = figure(latencyOf(curve.points).tailMs(rows) ?? 0);
  const total = figure(rows === best.point.rows ? best.answerMs : best.leastAnswerMs);
  const share = curve.instances === 1 ? '1' : `1/${curve.instances}`;
  return `a job waits for a batch and rides in the next, ${tailMs} ms * (1 + ${share}) + ${goal.overheadMs} ms = ${total} ms`;
}

function why({ best, curves, goal }: TuneResult): string {
  const { bound, curve, point } = best;
  const others =
    curves.length > 1 ? ' No other setting that keeps to what was asked for gives 5 % more.' : '';
  switch (bound) {
    case 'target': {
      const larger = curve.points.find(({ rows }) => rows > point.rows);
      const rows = larger?.rows ?? point.rows + 1;
      const ms = answerMs(latencyOf(curve.points), { ...goal, servers: curve.instances }, rows);
      return `batches of ${rows} would answer in ${figure(ms ?? 0)} ms, and the target is ${goal.latencyTargetMs ?? 0} ms.${others}`;
    }
    case 'knee':
      return `a larger batch does not pay: a row costs no less in it than in a batch of ${point.rows}.${others}`;
    case 'rows_max':
      return `${goal.rowsMax === 1 ? 'runs of one row are' : `${goal.rowsMax} rows is`} the most that was to be tried.${others}`;
    case 'slower':
      return `larger batches have a lower throughput.${others}`;
    case 'memory':
      return `a larger batch would have needed more memory than there is.${others}`;
    case 'time':
      return `there was no time to measure larger batches: give more --max-seconds.${others}`;
    case 'failed':
      return curve.end.kind === 'failed'
        ? `a batch of ${curve.end.rows} rows failed: ${curve.end.reason}.${others}`
        : others;
  }
}

function boundWord({ bound, curve }: Candidate): string {
  switch (bound) {
    case 'rows_max':
      return '--max-batch';
    case 'slower':
      return 'knee';
    case 'failed':
      return curve.end.kind === 'failed' ? `failed at ${curve.end.rows}` : 'failed';
    default:
      return bound;
  }
}

/** `2 instances of 1 thread`. */
export function setupText(setup: Setup): string {
  const { instances, threads } = setup;
  const each = threads === 0 ? 'as many threads as ONNX Runtime takes' : counted(threads, 'thread');
  return `${counted(instances, 'instance')} of ${each}`;
}

/** The same as plain data. */
export function reportJson(result: TuneResult): object {
  const { best, curves, device, failures, goal, hardware, inputs, model, now } = result;
  const { curve, point } = best;
  return {
    model,
    device,
    hardware,
    inputs,
    latency_target_ms: goal.latencyTargetMs,
    overhead_ms: goal.overheadMs,
    now: { instances: now.instances, intra_op_threads: now.threads },
    feasible: best.isFeasible,
    best: {
      max_batch_size: point.rows,
      instances: curve.instances,
      intra_op_threads: curve.threads,
      bound: best.bound,
      batch_tail_ms: best.tailMs,
      answer_ms: best.answerMs,
      least_answer_ms: best.leastAnswerMs,
      rows_per_second: best.rowsPerSecond,
    },
    settings: curves.map(({ end, instances, peakBytes, points, preparedIn, threads }) => ({
      instances,
      intra_op_threads: threads,
      prepared_in: preparedIn,
      memory_bytes: peakBytes,
      end,
      points: points.map((each) => ({
        rows: each.rows,
        batches: each.batches,
        mean_ms: each.meanMs,
        p50_ms: each.p50Ms,
        p95_ms: each.p95Ms,
        cycle_ms: each.cycleMs,
        compute_ms: each.computeMs,
        uncertainty: Number.isFinite(each.uncertainty) ? each.uncertainty : null,
      })),
    })),
    not_measured: failures.map(({ instances, reason, threads }) => ({
      instances,
      intra_op_threads: threads,
      reason,
    })),
  };
}
