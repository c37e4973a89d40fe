/** What is said of a configuration while it is translated. */
import type { FileProblem } from '../file-problem.ts';
import type { ConfigPath, ReadConfig } from './read-config.ts';

/** Problems keep a version from being served, warnings do not. */
export class Notes {
  readonly problems: FileProblem[] = [];
  readonly warnings: FileProblem[] = [];
  readonly #read: Pick<ReadConfig, 'problemAt'>;

  constructor(read: Pick<ReadConfig, 'problemAt'>) {
    this.#read = read;
  }

  problem(path: ConfigPath, message: string): void {
    this.problems.push(this.#read.problemAt(path, message));
  }

  warn(path: ConfigPath, message: string): void {
    this.warnings.push(this.#read.problemAt(path, message));
  }
}
