/** Decisions of the scheduler, pure: no I/O, no clock, no timers. Apps ask and act. */
export { answerMs, batchCap, type BatchCap, type BatchCapPolicy } from './batch-cap.ts';
export { BatchLimit, type BatchLimitChange } from './batch-limit.ts';
export {
  type ClaimAheadPolicy,
  claimAheadAtMs,
  type ClaimAheadView,
  type RunningView,
} from './claim-ahead.ts';
export { type Demand, desiredWorkers, type ScalePolicy } from './desired-workers.ts';
export { flowWeight } from './fair-queue.ts';
export { type IsolationKind, planIsolation, runIsolating, type RunTogether } from './isolate.ts';
export { LatencyModel, type RunSample } from './latency-model.ts';
export {
  type LatencySnapshot,
  type MeasuredSize,
  parseLatencySnapshot,
} from './latency-snapshot.ts';
export { PromiseWatch } from './promise-watch.ts';
export { queueRules } from './queue-rules.ts';
export {
  decideRelease,
  mayLinger,
  type ReleaseDecision,
  type ReleasePolicy,
  type ReleaseReason,
  type WaitingView,
} from './release-rule.ts';
export { profileOf, type ProfilePolicy } from './service-profile.ts';
export { TimeShare } from './time-share.ts';
