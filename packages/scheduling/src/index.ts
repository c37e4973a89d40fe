/** Decisions of the scheduler, pure: no I/O, no clock, no timers. Apps ask and act. */
export {
  type ClaimAheadPolicy,
  claimAheadAtMs,
  type ClaimAheadView,
  type RunningView,
} from './claim-ahead.ts';
export { type IsolationKind, planIsolation, runIsolating, type RunTogether } from './isolate.ts';
export {
  decideRelease,
  type ReleaseDecision,
  type ReleasePolicy,
  type ReleaseReason,
  type WaitingView,
} from './release-rule.ts';
export { RunDurations } from './run-durations.ts';
