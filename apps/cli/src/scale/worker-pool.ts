/**
 * The worker processes of this machine: each is started and kept alive as `inferry worker` would be, by a
 * supervisor in this process. The youngest are drained first: the others have learned more.
 */
import type { Supervised } from '../own-process.ts';
import type { StopSignal } from '../supervisor.ts';

export interface WorkerPoolOptions {
  /** Starts a worker under supervision; calls back each time that it has become ready. */
  readonly start: (onReady: () => void) => Supervised;
  /** A worker became ready. */
  readonly onReady: () => void;
  /** A worker has ended for good, with this exit code, and nobody had asked it to. */
  readonly onGone: (code: number) => void;
}

interface Member {
  readonly supervisor: Supervised;
  isDraining: boolean;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  /** In order of their starts. */
  #members: readonly Member[] = [];
  readonly #ends = new Set<Promise<void>>();
  #isStopping = false;
  #worstCode = 0;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Those that do not drain. One that crashed counts while it is started again. */
  get workers(): number {
    return this.#members.filter((member) => !member.isDraining).length;
  }

  get draining(): number {
    return this.#members.length - this.workers;
  }

  /** Starts workers, or drains them from the youngest on, until there are so many. */
  resize(target: number): void {
    while (this.workers < target) this.#start();
    const serving = this.#members.filter((member) => !member.isDraining);
    for (const member of serving.slice(target)) drain(member, 'SIGTERM');
  }

  /** The first drains every worker; a later one goes to those that drain as well, and ends them. */
  stop(signal: StopSignal): void {
    // A second signal ends a worker at once: one that was draining already must not get it from the first stop.
    const isFirst = !this.#isStopping;
    this.#isStopping = true;
    for (const member of this.#members) {
      if (!isFirst || !member.isDraining) drain(member, signal);
    }
  }

  /** Tells every worker to read its files again. */
  reread(): void {
    for (const { supervisor } of this.#members) supervisor.reread();
  }

  /** Resolves when every process has ended: with 0, or the largest exit code of those that drained. */
  async ended(): Promise<number> {
    while (this.#ends.size > 0) await Promise.all(this.#ends);
    return this.#worstCode;
  }

  #start(): void {
    const { onReady, start } = this.#options;
    const member: Member = { supervisor: start(onReady), isDraining: false };
    this.#members = [...this.#members, member];
    const end = this.#watch(member).finally(() => this.#ends.delete(end));
    this.#ends.add(end);
  }

  async #watch(member: Member): Promise<void> {
    const code = await member.supervisor.ended;
    this.#members = this.#members.filter((other) => other !== member);
    if (member.isDraining) this.#worstCode = Math.max(this.#worstCode, code);
    else this.#options.onGone(code);
  }
}

function drain(member: Member, signal: StopSignal): void {
  member.isDraining = true;
  member.supervisor.stop(signal);
}
