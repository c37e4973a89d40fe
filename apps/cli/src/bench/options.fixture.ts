/** Options of a benchmark for tests, as the command line makes them. */
import { parseArguments } from '../arguments.ts';
import { type BenchOptions, parseBenchOptions } from './options.ts';

/** Throws with the problems, where there are some. */
export function optionsOf(words: string): BenchOptions {
  const invocation = parseArguments(['bench', ...words.split(' ')]);
  if (!invocation.ok) throw new Error(invocation.error.message);
  const options = parseBenchOptions(invocation.value);
  if (!options.ok) throw new Error(options.error.join('\n'));
  return options.value;
}
