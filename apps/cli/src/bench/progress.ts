/** One line on a terminal that says how far it is; drawn over itself, and gone at the end. */
import { type Clock, every } from '@inferry/runtime';
import type { Phase } from './measure.ts';

const periodMs = 200;
const barCells = 20;

export interface Progress {
  /** What is being measured from now on. */
  show(title: string, phase: Phase): void;
  /** Takes the line away, so that text can be printed. */
  clear(): void;
  close(): void;
}

/** `write` replaces the text on the line. */
export function openProgress(clock: Clock, write: (text: string) => void): Progress {
  let draw = (): void => undefined;
  const stop = every(clock, periodMs, () => draw());
  const clear = (): void => {
    draw = () => undefined;
    write('');
  };
  return {
    show(title, phase) {
      draw = () => write(phaseText(title, phase, clock.nowMs()));
    },
    clear,
    close() {
      stop();
      clear();
    },
  };
}

/** `concurrency 4 (3 of 5), window 2  [######              ]  1234 requests, 2 errors` */
function phaseText(title: string, phase: Phase, nowMs: number): string {
  const { name, number, startedAtMs, durationMs, tally } = phase;
  const share = durationMs === 0 ? 1 : Math.min(1, (nowMs - startedAtMs) / durationMs);
  const bar = '#'.repeat(Math.floor(share * barCells)).padEnd(barCells);
  const what = name === 'window' ? `window ${number}` : name;
  const errors = tally.errors === 0 ? '' : `, ${tally.errors} errors`;
  return `${title}, ${what}  [${bar}]  ${tally.requests} requests${errors}`;
}
