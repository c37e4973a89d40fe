/**
 * Plays the changes of a class again, in the order of their numbers, and holds each to the reference
 * model and to the guarantee: every claim took exactly what the model says, nothing is lost or ends
 * twice, and nobody waited longer than the bounds allow. Throws at the first difference.
 */
import type { JobId } from '@inferry/contracts';
import type { Change } from '../port.ts';
import type { Call, Entry } from './recorder.fixture.ts';
import { type ModelClaimed, type ModelJob, ReferenceModel } from './reference-model.fixture.ts';

/** A job that has not been claimed yet, and what has happened since it came. */
interface Waiter {
  readonly job: ModelJob;
  /** Jobs before it when it came. */
  readonly ahead: number;
  readonly aheadOfItsFlow: number;
  claims: number;
  rowsMaxLeast: number;
  /** Jobs that came back, and how often some did. */
  returned: number;
  returns: number;
  suspects: number;
  /** Jobs of each other flow that were claimed. */
  readonly passes: Map<string, number>;
}

export class Replay {
  readonly model = new ReferenceModel();
  /** Sum over all claims. */
  overtakes = 0;
  returns = 0;
  agedClaims = 0;
  /** The most that was needed of what the bounds allow: 1 when a bound was reached. */
  tightest = 0;
  tightestShare = 0;
  #number = 0;
  /** One row a job; and one flow: otherwise claims until served are not counted. */
  #isSingle = true;
  #isUniform = true;
  #lastClaimedSeq = 0;
  readonly #waiters = new Map<JobId, Waiter>();

  apply({ change, call }: Entry): void {
    this.#number += 1;
    check(change.number === this.#number, `change ${change.number} came after ${this.#number - 1}`);
    switch (change.what) {
      case 'enqueue':
        this.#enqueue(change, call);
        break;
      case 'claim':
        this.#claim(change, call);
        break;
      case 'settle':
        for (const id of change.ids) this.model.settle(id);
        break;
      case 'giveBack':
        this.#giveBack(change, call);
        break;
      case 'sweep':
        this.#sweep(change);
        break;
      case 'cancel':
        for (const id of change.ids) this.#end(id, () => this.model.cancel(id));
        break;
    }
  }

  #enqueue({ ids, atMs }: Change, call: Call): void {
    if (call.do !== 'enqueue') throw new Error(`a ${call.do} made an enqueue`);
    const { job, terms, answer } = call;
    const before = this.model.waiting();
    const flow = `${job.tenant}/${job.priority}`;
    const arrival = this.model.enqueue({ ...job, flow, weight: terms.weight }, atMs);
    const ahead = this.model.waiting().findIndex(({ id }) => id === job.id);
    // A tie with another flow is broken by the ids, which an answer need not look at.
    const tied = before.filter((other) => other.takenAs === null && other.tag === arrival.tag);
    check(
      ids.length === 1 && ids[0] === job.id && answer.seq === arrival.seq,
      `${job.id} came as number ${answer.seq} instead of ${arrival.seq}`,
    );
    check(
      answer.ahead >= ahead && answer.ahead <= ahead + tied.length,
      `${job.id} was told of ${answer.ahead} jobs ahead instead of ${ahead}`,
    );
    check(
      answer.isAheadApproximate === before.some((other) => other.flow !== flow),
      `${job.id} was told wrongly whether other flows wait`,
    );
    this.#isSingle &&= job.rows === 1;
    this.#isUniform &&= this.#isSingle && this.model.jobs.every((other) => other.flow === flow);
    this.#waiters.set(job.id, {
      job: arrival,
      ahead: before.length,
      aheadOfItsFlow: this.#chargedBefore(arrival),
      claims: 0,
      rowsMaxLeast: Infinity,
      returned: 0,
      returns: 0,
      suspects: before.filter(({ workersLost }) => workersLost > 0).length,
      passes: new Map(),
    });
  }

  #claim({ ids, number, atMs }: Change, call: Call): void {
    if (call.do !== 'claim') throw new Error(`a ${call.do} made a claim`);
    const { request, answer } = call;
    const expected = this.model.claim(request, atMs);
    for (const id of expected.late) this.#waiters.delete(id);
    const got = answer.claims.map(({ job, seq, attempt, isSuspect, overtakenBy }) =>
      describe({ id: job.id, seq, attempt, isSuspect, overtakenBy }),
    );
    const where = `claim ${number} of ${request.rowsMax} rows`;
    equal(got, expected.claims.map(describe), where);
    equal(
      ids,
      expected.claims.map(({ id }) => id),
      `the ids of ${where}`,
    );
    const waiting = this.model.waiting();
    check(answer.waiting === waiting.length, `${where} left ${answer.waiting} waiting`);
    check(answer.suspectAhead === expected.suspectAhead, `${where} saw a suspect ahead wrongly`);
    check(
      answer.oldestAtMs === (waiting[0]?.enqueuedAtMs ?? null),
      `${where} told of another job in turn`,
    );
    this.#watchClaim(request.rowsMax, expected);
  }

  #watchClaim(rowsMax: number, { claims }: ModelClaimed): void {
    for (const claim of claims) {
      this.overtakes += claim.overtakenBy;
      if (claim.isAged) this.agedClaims += 1;
      if (this.#isUniform && this.returns === 0) {
        check(claim.seq > this.#lastClaimedSeq, `${claim.id} was claimed after a later job`);
        check(claim.overtakenBy === 0, `${claim.id} was overtaken`);
      }
      this.#lastClaimedSeq = claim.seq;
    }
    if (claims.length === 0) return;
    for (const waiter of this.#waiters.values()) {
      waiter.claims += 1;
      waiter.rowsMaxLeast = Math.min(waiter.rowsMaxLeast, rowsMax);
    }
    for (const { id } of claims) {
      const served = this.#waiters.get(id);
      if (served !== undefined) this.#holdToBounds(served);
      this.#waiters.delete(id);
      const { flow } = this.model.job(id);
      for (const { job, passes } of this.#waiters.values()) {
        if (job.flow !== flow) passes.set(flow, (passes.get(flow) ?? 0) + 1);
      }
    }
  }

  /** Bounded wait whoever comes later: G2 in claims instead of time, and G3 where flows share. */
  #holdToBounds(waiter: Waiter): void {
    const { job, ahead, aheadOfItsFlow, claims, rowsMaxLeast, returned, suspects, passes } = waiter;
    if (this.#isUniform) {
      // A suspect runs alone, and the claim before it is cut short: again when others come back before it.
      const cut = suspects > 0 ? 2 * suspects + waiter.returns : 0;
      const bound = Math.ceil((ahead + 1 + returned) / rowsMaxLeast) + cut;
      this.tightest = Math.max(this.tightest, claims / bound);
      check(
        claims <= bound,
        `${job.id} was served by the ${claims}th claim, the bound is ${bound}`,
      );
    }
    if (!this.#isSingle || this.returns > 0 || this.agedClaims > 0) return;
    for (const [flow, count] of passes) {
      const weight = this.model.jobs.find((other) => other.flow === flow)?.weight ?? 1;
      const bound = Math.floor(((aheadOfItsFlow + 1) * weight) / job.weight) + 1;
      this.tightestShare = Math.max(this.tightestShare, count / bound);
      check(count <= bound, `${count} of ${flow} passed ${job.id}, the bound is ${bound}`);
    }
  }

  /** Jobs of its flow that wait before it, and those among them that ended: who waits keeps his place. */
  #chargedBefore({ flow, id }: ModelJob): number {
    const own = this.model.jobs.filter((job) => job.flow === flow && job.id !== id);
    const from = own.findLastIndex(({ takenAs }) => takenAs !== null) + 1;
    const to = own.findLastIndex(({ state }) => state === 'waiting') + 1;
    return Math.max(0, to - from);
  }

  #giveBack({ ids }: Change, call: Call): void {
    if (call.do !== 'giveBack') throw new Error(`a ${call.do} made a giveBack`);
    for (const id of ids) this.model.giveBack(id, call.asSuspects);
    this.#watchReturn(ids, call.asSuspects);
  }

  #sweep({ ids, atMs }: Change): void {
    const late = new Set(this.model.late(atMs).map(({ id }) => id));
    const returned = ids.filter((id) => {
      if (!late.has(id)) return this.model.lose(id) === 'returned';
      this.#end(id, () => this.model.expire(id, atMs));
      return false;
    });
    this.#watchReturn(returned, true);
  }

  #watchReturn(ids: readonly JobId[], areSuspects: boolean): void {
    if (ids.length === 0) return;
    this.returns += ids.length;
    for (const waiter of this.#waiters.values()) {
      waiter.returned += ids.length;
      waiter.returns += 1;
      if (ids.some((id) => this.model.job(id).workersLost > 0) || areSuspects) {
        waiter.suspects += ids.length;
      }
    }
  }

  #end(id: JobId, end: () => void): void {
    this.#waiters.delete(id);
    end();
  }
}

/** Plays what several processes wrote down; `isOver` when every job must have ended. */
export function replayAll(entries: readonly Entry[], isOver: boolean): Replay {
  const replay = new Replay();
  for (const entry of entries.toSorted((a, b) => a.change.number - b.change.number)) {
    replay.apply(entry);
  }
  const left = replay.model.jobs.filter(({ state }) => state !== 'ended');
  if (isOver) check(left.length === 0, `${left.length} jobs never ended`);
  return replay;
}

function describe({
  id,
  seq,
  attempt,
  isSuspect,
  overtakenBy,
}: Omit<ModelClaimed['claims'][number], 'isAged'>): string {
  const suspect = isSuspect ? ' suspect' : '';
  return `${id} seq ${seq} start ${attempt}${suspect} overtaken by ${overtakenBy}`;
}

function equal(got: readonly string[], expected: readonly string[], what: string): void {
  const isEqual = got.length === expected.length && got.every((each, i) => each === expected[i]);
  check(isEqual, `${what}:\n  got ${got.join('\n      ')}\n  not ${expected.join('\n      ')}`);
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
