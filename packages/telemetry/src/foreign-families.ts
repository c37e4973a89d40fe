/** Metrics under names that others chose, which are no part of the catalogue, as text of an exposition. */
import type { MetricsFormat } from './metrics.ts';

export interface ForeignFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly {
    /** Behind the name of the family, in a histogram. */
    readonly suffix?: '_bucket' | '_sum' | '_count';
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/** Lines of the families, each with its line end. */
export function writeFamilies(families: readonly ForeignFamily[], format: MetricsFormat): string {
  return families.map((family) => writeFamily(family, format)).join('');
}

function writeFamily({ help, name, samples, type }: ForeignFamily, format: MetricsFormat): string {
  // In OpenMetrics the samples of a counter end in _total, and these names are not ours to change.
  const told = format === 'openmetrics' && type === 'counter' ? 'unknown' : type;
  const lines = samples.map(({ labels, suffix = '', value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${suffix}{${pairs.join(',')}} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${told}\n${lines.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
