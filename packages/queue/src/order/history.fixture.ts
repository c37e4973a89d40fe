/**
 * Random histories of one class in virtual time: arrivals in several flows, workers that come, claim,
 * settle, fail, go and die. After every step the queue is compared with the reference model.
 */
import { type ClassId, classOf, type JobStatus, newJobId } from '@inferry/contracts';
import { seededRandom, type VirtualClock } from '@inferry/runtime';
import type { Claim, ClaimRequest, JobQueue } from '../port.ts';
import type { Command, Scene } from './commands.fixture.ts';
import { type Entry, jobOf, Recorder } from './recorder.fixture.ts';
import { Replay } from './replay.fixture.ts';

export const leaseMs = 900;

interface Held {
  readonly claim: Claim;
  leaseUntilMs: number;
}

/** Runs a history on a queue and throws where the queue and the model part. */
export class History {
  readonly replay = new Replay();
  readonly #clock: VirtualClock;
  readonly #scene: Scene;
  readonly #cls: ClassId = classOf('m', '1');
  readonly #recorder: Recorder;
  /** Ids without an order in time, so that ties between flows fall either way. */
  readonly #random = seededRandom(7);
  #workers = new Map<string, Held[]>([['w0', []]]);
  #workersSoFar = 1;
  /** What dead workers held. */
  #orphans: Held[] = [];

  constructor(queue: JobQueue, clock: VirtualClock, scene: Scene) {
    this.#clock = clock;
    this.#scene = scene;
    this.#recorder = new Recorder(queue, this.#cls, (entry: Entry) => {
      this.replay.apply(entry);
    });
  }

  async play(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.#step(command);
      await this.#compare();
    }
    await this.#finish();
    this.#recorder.close();
  }

  async #step(command: Command): Promise<void> {
    switch (command.do) {
      case 'enqueue':
        await this.#enqueue(command);
        break;
      case 'claim':
        await this.#claim(this.#workerAt(command.worker), command);
        break;
      case 'settle':
        await this.#settle(this.#workerAt(command.worker), command.subset, command.succeeds);
        break;
      case 'fail': {
        const name = this.#workerAt(command.worker);
        await this.#giveBack(this.#release(name, command.subset), command.asSuspects);
        break;
      }
      case 'crash': {
        // Its successor has the same name and knows of nothing.
        const name = this.#workerAt(command.worker);
        this.#orphans.push(...(this.#workers.get(name) ?? []));
        this.#workers.set(name, []);
        break;
      }
      case 'join':
        if (this.#workers.size < 4) this.#workers.set(`w${(this.#workersSoFar += 1)}`, []);
        break;
      case 'leave': {
        const name = this.#workerAt(command.worker);
        await this.#giveBack(this.#release(name, 255), false);
        if (this.#workers.size > 1) this.#workers.delete(name);
        break;
      }
      case 'advance':
        await this.#advance(command.ms);
        break;
      case 'cancel': {
        const { jobs } = this.replay.model;
        const job = jobs[command.pick % Math.max(1, jobs.length)];
        if (job !== undefined) await this.#recorder.cancel(job.id);
        break;
      }
      case 'sweep':
        await this.#sweep();
        break;
    }
  }

  async #enqueue(command: Command & { do: 'enqueue' }): Promise<void> {
    const flow = this.#scene.flows[command.flow];
    if (flow === undefined) return;
    const { rows, queueTimeoutMs, deadlineMs } = command;
    const { tenant, priority, weight } = flow;
    await this.#recorder.enqueue(
      jobOf(this.#cls, newJobId(0, this.#random), {
        rows,
        tenant,
        priority,
        queueTimeoutMs,
        deadlineMs,
      }),
      { depthMax: 1_000, bytesMax: 1_000_000, tenantDepthMax: null, weight, budget: null },
    );
  }

  async #claim(
    workerId: string,
    asked: Pick<ClaimRequest, 'rowsMax' | 'rowsMin' | 'takeSuspect'>,
  ): Promise<number> {
    const { rowsMax, rowsMin, takeSuspect } = asked;
    const { agingMs } = this.#scene;
    const request = { workerId, rowsMax, rowsMin, takeSuspect, agingMs, freeInMs: [0] };
    const claims = await this.#recorder.claim(request);
    const leaseUntilMs = this.#clock.nowMs() + leaseMs;
    this.#workers.get(workerId)?.push(...claims.map((claim) => ({ claim, leaseUntilMs })));
    return claims.length;
  }

  async #settle(worker: string, subset: number, succeeds: boolean): Promise<void> {
    const claims = this.#release(worker, subset);
    const owned = claims.filter((claim) => this.#isOwned(claim));
    const lost = await this.#recorder.settle(claims, succeeds);
    check(
      lost.length === claims.length - owned.length,
      `${lost.length} of ${claims.length} claims were lost, ${owned.length} were owned`,
    );
  }

  async #giveBack(claims: readonly Claim[], asSuspects: boolean): Promise<void> {
    await this.#recorder.giveBack(claims, asSuspects);
  }

  /** Workers that live renew in time; the dead do not. */
  async #advance(ms: number): Promise<void> {
    const stepMs = leaseMs / 3;
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      await this.#clock.advance(Math.min(stepMs, leftMs));
      for (const [name, held] of this.#workers) {
        const lost = await this.#recorder.queue.renew(
          name,
          this.#cls,
          held.map(({ claim }) => claim),
        );
        const kept = held.filter(({ claim }) => !lost.includes(claim));
        for (const each of kept) each.leaseUntilMs = this.#clock.nowMs() + leaseMs;
        this.#workers.set(name, kept);
      }
    }
  }

  async #sweep(): Promise<void> {
    const { returned, failed, expired } = await this.#recorder.sweep();
    const nowMs = this.#clock.nowMs();
    for (const id of [...returned, ...failed.map((job) => job.id)]) {
      const at = this.#orphans.findIndex(({ claim }) => claim.job.id === id);
      const orphan = this.#orphans.splice(at, 1)[0];
      check(at >= 0, `${id} was taken from a worker that lives`);
      check((orphan?.leaseUntilMs ?? 0) <= nowMs, `${id} was taken before its lease was over`);
    }
    const left = this.replay.model.late(nowMs);
    check(left.length === 0, `${left.length} jobs outlived their time, ${expired.length} did not`);
  }

  /** Each job is where the model has it, and nowhere else. */
  async #compare(): Promise<void> {
    const { model } = this.replay;
    const { queue, problems } = this.#recorder;
    check(problems.length === 0, problems.join('\n'));
    const [stats] = await queue.stats([this.#cls]);
    const count = (state: string): number => model.jobs.filter((job) => job.state === state).length;
    check(stats?.waiting === count('waiting'), `${stats?.waiting} jobs wait`);
    check(stats?.active === count('active'), `${stats?.active} jobs are active`);
    // Looking ends what is late: that is for the claims and sweeps of the history to find.
    if (model.late(this.#clock.nowMs()).length > 0) return;
    const waiting = model.waiting();
    const isMixed = new Set(waiting.map(({ flow }) => flow)).size > 1;
    for (const { id, state } of model.jobs) {
      const lookup = await queue.find(id);
      const record = lookup.ok && lookup.value.found === 'record' ? lookup.value.record : undefined;
      check(stateOf(record?.status) === state, `${id} is ${record?.status}, not ${state}`);
      if (state !== 'waiting') continue;
      const rank = waiting.findIndex((job) => job.id === id);
      check(record?.ahead === rank, `${id} has ${record?.ahead} jobs ahead, not ${rank}`);
      check(record?.isAheadApproximate === isMixed, `${id}: whether other flows wait`);
    }
  }

  /** Everything that lives is served: the dead are found, and every job ends once. */
  async #finish(): Promise<void> {
    for (let i = 0; i < 3; i += 1) {
      await this.#advance(leaseMs);
      await this.#sweep();
    }
    for (const name of this.#workers.keys()) await this.#settle(name, 255, true);
    const worker = this.#workerAt(0);
    let taken: number;
    do {
      taken = await this.#claim(worker, { rowsMax: 3, rowsMin: 1, takeSuspect: true });
      await this.#settle(worker, 255, true);
      await this.#compare();
    } while (taken > 0);
    const left = this.replay.model.jobs.filter(({ state }) => state !== 'ended');
    check(left.length === 0, `${left.length} jobs never ended`);
  }

  #workerAt(pick: number): string {
    const names = [...this.#workers.keys()];
    return names[pick % names.length] ?? 'none';
  }

  /** Takes a part of what a worker holds from it. */
  #release(worker: string, subset: number): readonly Claim[] {
    const held = this.#workers.get(worker) ?? [];
    const isChosen = (_: Held, i: number): boolean => ((subset >> (i % 8)) & 1) === 1;
    this.#workers.set(
      worker,
      held.filter((each, i) => !isChosen(each, i)),
    );
    return held.filter(isChosen).map(({ claim }) => claim);
  }

  /** Only the last claim of a job owns it. */
  #isOwned(claim: Claim): boolean {
    const job = this.replay.model.job(claim.job.id);
    return job.state === 'active' && job.attempt === claim.attempt;
  }
}

function stateOf(status: JobStatus | undefined): 'waiting' | 'active' | 'ended' | undefined {
  if (status === undefined) return undefined;
  if (status === 'queued') return 'waiting';
  return status === 'running' ? 'active' : 'ended';
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
