/** The columns that tables choose from. Times are milliseconds, as the client sees them. */
import type { Figures } from '../measures.ts';
import { milliseconds, percent } from '../table.ts';
import type { Column } from './rows.ts';

const none = '-';

function column(name: string, cell: (figures: Figures) => string): Column {
  return { name, cell: (result) => cell(result.figures) };
}

export const refused = column('refused %', ({ refusedShare }) => percent(refusedShare));
export const answered = column('ok/s', (figures) => figures.answeredPerSecond.toFixed(1));
export const good = column('good/s', (figures) => figures.goodPerSecond.toFixed(1));
export const goodShare = column('in time %', (figures) => percent(figures.goodShare));
export const mean = column('mean', ({ answers }) => milliseconds(answers.mean));
export const p50 = column('p50', ({ answers }) => milliseconds(answers.p50));
export const p99 = column('p99', ({ answers }) => milliseconds(answers.p99));
export const max = column('max', ({ answers }) => milliseconds(answers.max));
export const refusal = column('refusal', ({ refusals }) =>
  refusals.count === 0 ? none : milliseconds(refusals.mean),
);
export const overtakes = column('overtakes', (figures) => String(figures.overtakesMax));
export const attempts = column('attempts', (figures) => figures.attemptsPerAnswer.toFixed(1));
export const jobs = column('as job %', (figures) => percent(figures.jobShare));
export const logicalMean = column('all mean', ({ logical }) => milliseconds(logical.mean));
export const logicalP99 = column('all p99', ({ logical }) => milliseconds(logical.p99));
export const logicalMax = column('all max', ({ logical }) => milliseconds(logical.max));
export const busy = column('busy %', (figures) => percent(figures.busyShare));
export const rows = column('rows/run', (figures) => figures.rowsPerRun.toFixed(1));
