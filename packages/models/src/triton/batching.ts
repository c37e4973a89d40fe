/** `dynamic_batching` and its queue policies: which jobs share a run, and how long they may wait. */
import { defaultLimits, priorities, type Priority } from '@inferry/contracts';
import type { CompleteConfig } from './complete.ts';
import type { Notes } from './notes.ts';
import type { ConfigPath } from './read-config.ts';
import type { TritonDynamicBatching, TritonQueuePolicy } from './triton-config.ts';

const lingerMsMax = 10_000;
/** As many as requests can name: high, normal, low. */
const levelsMax = 3;
const at = 'dynamic_batching';

export interface Batching {
  /** Jobs share a run up to so many rows; 1 where none do. */
  readonly joinedRowsMax: number;
  /** With so many rows a batch waits for no more. */
  readonly rowsEnough: number;
  readonly lingerMs: number;
  /** Null where the configuration gives no bound. */
  readonly depthMax: number | null;
  /** Null where jobs wait as long as their deadline lasts. */
  readonly queueTimeoutMs: number | null;
  /** Of priorities with a policy of their own. */
  readonly queueTimeoutsMs: Readonly<Partial<Record<Priority, number | null>>>;
}

/** Without the section each request has a run of its own, as in Triton. */
export function batchingOf(
  { dynamic_batching: section, max_batch_size: rowsMax }: CompleteConfig,
  notes: Notes,
): Batching {
  if (section === undefined) {
    const apart = { joinedRowsMax: 1, rowsEnough: 1, lingerMs: 0 };
    return { ...apart, depthMax: null, queueTimeoutMs: null, queueTimeoutsMs: {} };
  }
  const preferred = section.preferred_batch_size ?? [];
  for (const [i, size] of preferred.entries()) {
    if (size >= 1 && size <= rowsMax) continue;
    const message = `is ${size}; it must be from 1 to max_batch_size (${rowsMax})`;
    notes.problem([at, 'preferred_batch_size', i], message);
  }
  checkPriorities(section, notes);
  const lingerMs = lingerOf(section, notes);
  return {
    joinedRowsMax: Math.max(1, preferred.length > 0 ? Math.max(...preferred) : rowsMax),
    rowsEnough: Math.max(1, preferred.length > 0 ? Math.min(...preferred) : rowsMax),
    lingerMs,
    ...policiesOf(section, lingerMs, notes),
  };
}

function lingerOf(
  { max_queue_delay_microseconds: delay = 0 }: TritonDynamicBatching,
  notes: Notes,
): number {
  const ms = delay / 1_000;
  if (ms <= lingerMsMax) return ms;
  notes.warn(
    [at, 'max_queue_delay_microseconds'],
    `is taken as ${lingerMsMax} ms, the most there is`,
  );
  return lingerMsMax;
}

function policiesOf(
  { default_queue_policy: usual = {}, priority_queue_policy: ofLevels = {} }: TritonDynamicBatching,
  lingerMs: number,
  notes: Notes,
): Pick<Batching, 'depthMax' | 'queueTimeoutMs' | 'queueTimeoutsMs'> {
  const path = [at, 'default_queue_policy'];
  const { queueDepthPerClassMax: most } = defaultLimits;
  const { max_queue_size: depth = 0 } = usual;
  if (depth > most) {
    notes.warn([...path, 'max_queue_size'], `is taken as ${most}, the limit of a queue`);
  }
  const queueTimeoutsMs: Partial<Record<Priority, number | null>> = {};
  for (const [level, policy] of Object.entries(ofLevels)) {
    const own = [at, 'priority_queue_policy', level];
    const priority = priorities[Number(level) - 1];
    if (priority === undefined) {
      notes.warn(own, `has no effect: requests can name 1 to ${priorities.length}`);
      continue;
    }
    if ((policy.max_queue_size ?? 0) > 0) {
      const message =
        'has no effect: the max_queue_size of default_queue_policy bounds all levels together';
      notes.warn([...own, 'max_queue_size'], message);
    }
    queueTimeoutsMs[priority] = timeoutOf(policy, { path: own, lingerMs }, notes);
  }
  return {
    depthMax: depth === 0 ? null : Math.min(depth, most),
    queueTimeoutMs: timeoutOf(usual, { path, lingerMs }, notes),
    queueTimeoutsMs,
  };
}

/** Null where the policy gives none. */
function timeoutOf(
  policy: TritonQueuePolicy,
  { lingerMs, path }: { readonly path: ConfigPath; readonly lingerMs: number },
  notes: Notes,
): number | null {
  const { deadlineMsMax } = defaultLimits;
  const { default_timeout_microseconds: timeout = 0 } = policy;
  if (timeout === 0) return null;
  const givenMs = Math.max(1, Math.ceil(timeout / 1_000));
  if (givenMs > deadlineMsMax) {
    const message = `is taken as ${deadlineMsMax} ms, the longest a job may take`;
    notes.warn([...path, 'default_timeout_microseconds'], message);
  }
  if (policy.timeout_action === 'DELAY') {
    const message =
      'DELAY has no effect: jobs keep their place, and none is rejected for its time in the queue';
    notes.warn([...path, 'timeout_action'], message);
    return null;
  }
  const timeoutMs = Math.min(givenMs, deadlineMsMax);
  if (timeoutMs <= lingerMs) {
    const message = `ends within max_queue_delay_microseconds (${lingerMs} ms): requests without company are rejected`;
    notes.warn([...path, 'default_timeout_microseconds'], message);
  }
  return timeoutMs;
}

function checkPriorities(
  {
    default_priority_level: usual = 0,
    priority_levels: levels = 0,
    priority_queue_policy: policies = {},
  }: TritonDynamicBatching,
  notes: Notes,
): void {
  if (usual > levels || (levels > 0 && usual === 0)) {
    const range = levels === 0 ? 'absent without priority_levels' : `from 1 to ${levels}`;
    notes.problem([at, 'default_priority_level'], `is ${usual}; it must be ${range}`);
  }
  for (const level of Object.keys(policies)) {
    if (Number(level) >= 1 && Number(level) <= levels) continue;
    const message = `must be from 1 to priority_levels (${levels})`;
    notes.problem([at, 'priority_queue_policy', level], message);
  }
  if (levels > 0) {
    const more =
      levels > levelsMax ? `; requests that name one above ${levelsMax} are refused` : '';
    const message = `1, 2 and 3 share the model 8 : 4 : 1 instead of one going first, and only where INFERRY_TENANTS is set${more}`;
    notes.warn([at, 'priority_levels'], message);
  }
  if (levels > 0 && usual > 0 && usual !== 2) {
    notes.warn([at, 'default_priority_level'], 'is taken as 2: requests that name none are normal');
  }
}
