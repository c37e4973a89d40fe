/**
 * Holds a run of our scheduler to its guarantee. It counts for itself, from outside: what was accepted,
 * claimed and returned, in which order and when; what the queue says of itself is checked, not used.
 *
 * P4: a request is claimed after at most ceil((q + 1) / b) claims, where q were waiting when it was accepted
 * and b is the smallest cap that a claim had, plus one for each return since.
 * G2: it starts within ceil((q + 1) / B) * S + H, where B is the sum of the smallest caps of all workers, S
 * the longest run and H the longest linger, whatever arrives later.
 * G3: of another tenant at most floor((q + 1) * w(other) / w(own)) + 1 requests start in between, where q
 * of its own tenant were waiting; those old enough to be taken for their age come on top.
 */
import type { Claimed, Enqueued } from '@inferry/queue';
import { overtakesMax } from '../measures.ts';
import type { Request, World } from '../world.ts';

interface Entry {
  /** Waiting at acceptance: all, and of its tenant. */
  readonly ahead: number;
  readonly aheadOfOwn: number;
  /** Counters at acceptance. */
  readonly claims: number;
  readonly returns: number;
  readonly taken: ReadonlyMap<string, number>;
  /** Expected time until the answer, ms. */
  readonly expectedMs: number | null;
}

export interface AuditOptions {
  /** Null where tenants are not told apart. */
  readonly weights: Readonly<Record<string, number>> | null;
  readonly lingerMaxMs: number;
  readonly agingMs: number;
}

/** Rounding of instants. */
const roundingMs = 1e-6;
/** An estimate is missed when the answer takes so many times as long, or longer than a linger on top of it. */
const missedFactor = 1.25;
const missedShareMax = 0.05;
/** Starts later than the bound that was told at acceptance, which is off when runs are slower or caps change. */
const startedLateShareMax = 0.05;
/** The mean of what was expected against the mean of what came. */
const cautionMax = 2;
/** Judged only where so many answers are known. */
const answersMin = 200;
const violationsShown = 3;

export class Audit {
  readonly #world: World;
  readonly #options: AuditOptions;
  readonly #entries = new Map<Request, Entry>();
  readonly #waiting = new Map<string, number>();
  /** Started by tenant, but for those old enough to be taken for their age. */
  readonly #taken = new Map<string, number>();
  readonly #violations = new Map<string, string[]>();
  #waitingInAll = 0;
  #claims = 0;
  #returns = 0;
  /** The smallest cap of a claim, by worker. */
  readonly #caps = new Map<number, number>();
  /** Claims and returns from acceptance to start. */
  readonly #started: {
    readonly request: Request;
    readonly claims: number;
    readonly returns: number;
  }[] = [];
  #promises = { kept: 0, missed: 0, startedLate: 0, expectedMs: 0, tookMs: 0 };

  constructor(world: World, options: AuditOptions) {
    this.#world = world;
    this.#options = options;
  }

  accepted(request: Request, enqueued: Enqueued): void {
    const { tenant } = request;
    const aheadOfOwn = this.#waiting.get(tenant) ?? 0;
    if (this.#options.weights === null && enqueued.ahead !== this.#waitingInAll) {
      this.#broken('position', `${enqueued.ahead} ahead, but ${this.#waitingInAll} wait`);
    }
    this.#entries.set(request, {
      ahead: this.#waitingInAll,
      aheadOfOwn,
      claims: this.#claims,
      returns: this.#returns,
      taken: new Map(this.#taken),
      expectedMs: enqueued.estimate?.readyInMs ?? null,
    });
    this.#wait(tenant, 1);
  }

  /** A claim that asked for whatever is there, up to `rowsMax` rows. */
  claimed(worker: number, rowsMax: number, { claims, suspectAhead }: Claimed): void {
    if (claims.length === 0) {
      if (this.#waitingInAll > 0 && !suspectAhead) {
        this.#broken('P8', `a claim took nothing while ${this.#waitingInAll} waited`);
      }
      return;
    }
    for (const { claimedAtMs, overtakenBy, promise } of claims) {
      if (overtakenBy > 0 && this.#returns === 0) {
        this.#broken('overtakes', `a claim says that it was overtaken by ${overtakenBy}`);
      }
      const isLate = promise !== null && claimedAtMs > promise.startByMs;
      this.#promises.startedLate += isLate ? 1 : 0;
    }
    this.#claims += 1;
    this.#caps.set(worker, Math.min(rowsMax, this.#caps.get(worker) ?? Infinity));
  }

  /** In the order in which they are put into a run, at the instant of their claim. */
  started(requests: readonly Request[]): void {
    for (const request of requests) {
      const { tenant } = request;
      this.#wait(tenant, -1);
      const entry = this.#entries.get(request);
      if (entry === undefined) this.#broken('conservation', 'a request ran that was not accepted');
      else this.#checkShare(request, entry);
      const ageMs = this.#world.engine.nowMs() - request.arrivedAtMs;
      const young = ageMs < this.#options.agingMs ? 1 : 0;
      this.#taken.set(tenant, (this.#taken.get(tenant) ?? 0) + young);
      if (entry === undefined) continue;
      const claims = this.#claims - entry.claims;
      this.#started.push({ request, claims, returns: this.#returns - entry.returns });
    }
  }

  returned(requests: readonly Request[]): void {
    this.#returns += 1;
    for (const { tenant } of requests) this.#wait(tenant, 1);
  }

  answered(request: Request, tookMs: number): void {
    const expectedMs = this.#entries.get(request)?.expectedMs ?? null;
    if (expectedMs === null) return;
    if (tookMs > missedFactor * expectedMs + this.#options.lingerMaxMs) this.#promises.missed += 1;
    else this.#promises.kept += 1;
    this.#promises.expectedMs += expectedMs;
    this.#promises.tookMs += tookMs;
  }

  /** After every event: with no linger, nothing waits beside a free worker. */
  settled(freeWorkers: number): void {
    if (this.#options.lingerMaxMs > 0 || freeWorkers === 0 || this.#waitingInAll === 0) return;
    this.#broken('work', `${this.#waitingInAll} wait and ${freeWorkers} workers are free`);
  }

  /** All that did not hold, a few of each kind. */
  report(): readonly string[] {
    this.#checkOrder();
    this.#checkBounds();
    this.#checkRefusals();
    this.#checkEstimates();
    return [...this.#violations].flatMap(([kind, all]) => {
      const more = all.length > violationsShown ? [`${kind}: ${all.length} in all`] : [];
      return [...all.slice(0, violationsShown), ...more];
    });
  }

  #checkShare({ tenant }: Request, { aheadOfOwn, taken }: Entry): void {
    const { weights } = this.#options;
    if (weights === null) return;
    const own = weights[tenant] ?? 1;
    for (const [other, now] of this.#taken) {
      if (other === tenant) continue;
      const between = now - (taken.get(other) ?? 0);
      const allowed = Math.floor(((aheadOfOwn + 1) * (weights[other] ?? 1)) / own) + 1;
      if (between <= allowed) continue;
      this.#broken('G3', `${between} of ${other} before one of ${tenant}, ${allowed} allowed`);
    }
  }

  #checkOrder(): void {
    const { weights } = this.#options;
    const tenants = weights === null ? [null] : Object.keys(weights);
    const answered = this.#world.ended.filter(({ end }) => end === 'answered');
    const inOrder = answered.toSorted((a, b) => a.start - b.start);
    for (const tenant of tenants) {
      const flow = inOrder.filter((request) => tenant === null || request.tenant === tenant);
      const most = overtakesMax(flow.map(({ order }) => order));
      if (most > 0) this.#broken('G1', `a request was overtaken by ${most} of its flow`);
    }
  }

  #checkBounds(): void {
    if (this.#options.weights !== null) return;
    const caps = [...this.#caps.values()];
    const least = Math.min(...caps);
    const together = caps.reduce((sum, rows) => sum + rows, 0);
    for (const { claims, request, returns } of this.#started) {
      const ahead = this.#entries.get(request)?.ahead ?? 0;
      const claimsMax = Math.ceil((ahead + 1) / least) + returns;
      if (claims > claimsMax) this.#broken('P4', `${claims} claims, ${claimsMax} allowed`);
      if (this.#returns > 0) continue;
      const waitedMs = request.startedAtMs - request.arrivedAtMs;
      const rounds = Math.ceil((ahead + 1) / together);
      const boundMs = rounds * this.#world.longestRunMs + this.#options.lingerMaxMs;
      if (waitedMs <= boundMs + roundingMs) continue;
      this.#broken('G2', `waited ${waitedMs} ms, ${boundMs} ms allowed`);
    }
  }

  /** A refusal costs the way there and back, and what it took to read the request. */
  #checkRefusals(): void {
    const { networkMs } = this.#world.options;
    for (const { arrivedAtMs, end, endedAtMs } of this.#world.ended) {
      if (end !== 'refused' || endedAtMs - arrivedAtMs <= networkMs + roundingMs) continue;
      this.#broken('refusals', `a refusal took ${endedAtMs - arrivedAtMs} ms after arrival`);
    }
  }

  #checkEstimates(): void {
    const { expectedMs, kept, missed, startedLate, tookMs } = this.#promises;
    const { lingerMaxMs, weights } = this.#options;
    const answers = kept + missed;
    if (answers < answersMin || this.#returns > 0 || weights !== null) return;
    if (missed > missedShareMax * answers) {
      this.#broken('estimates', `${missed} of ${answers} answers came much later than expected`);
    }
    if (lingerMaxMs === 0 && startedLate > startedLateShareMax * answers) {
      this.#broken('estimates', `${startedLate} of ${answers} started after their bound`);
    }
    const caution = expectedMs / tookMs;
    if (caution > cautionMax) {
      const times = caution.toFixed(2);
      this.#broken('estimates', `answers were expected ${times} times as late as they came`);
    }
  }

  #wait(tenant: string, change: 1 | -1): void {
    this.#waitingInAll += change;
    this.#waiting.set(tenant, (this.#waiting.get(tenant) ?? 0) + change);
  }

  #broken(kind: string, what: string): void {
    const all = this.#violations.get(kind) ?? [];
    this.#violations.set(kind, all);
    all.push(`${kind}: ${what}`);
  }
}
