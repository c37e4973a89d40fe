/** The findings of `inferry doctor`, for a terminal and for a program. */
import type { Finding } from './check.ts';

const marks = { fine: 'ok', doubtful: 'warn', bad: 'FAIL', 'left out': '-' } as const;

/** One line a finding, what to do below it, and the sum of it all. */
export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ detail, name, remedy, verdict }) => {
    const line = `${marks[verdict].padEnd(4)}  ${name.padEnd(width)}  ${detail}`;
    return remedy === null ? [line] : [line, `      ${' '.repeat(width)}  -> ${remedy}`];
  });
  return `${[...lines, '', summary(findings)].join('\n')}\n`;
}

export function doctorJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ fit: isFit(findings), findings }, null, 2)}\n`;
}

/** Nothing is bad. */
export function isFit(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== 'bad');
}

function summary(findings: readonly Finding[]): string {
  const count = (verdict: Finding['verdict']): number =>
    findings.filter((finding) => finding.verdict === verdict).length;
  const counted = `${count('fine')} ok, ${count('doubtful')} to look at, ${count('bad')} failed`;
  return isFit(findings) ? `Ready to serve: ${counted}.` : `Not ready to serve: ${counted}.`;
}
