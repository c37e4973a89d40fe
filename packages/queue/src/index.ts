export { createBullmqQueue } from './bullmq/bullmq-queue.ts';
export type { BullmqQueueOptions } from './bullmq/queue-context.ts';
export { openPayloadReader, type PayloadReaderOptions } from './bullmq/payload-reader.ts';
export { inspectRedis, type RedisReport } from './bullmq/redis-inspection.ts';
export { createMemoryQueue, type MemoryQueueOptions } from './memory/memory-queue.ts';
export type {
  Follower,
  PartialMark,
  PartialOutput,
  PartialRefusal,
  PartialsRead,
  PartialStore,
} from './partials.ts';
export type {
  Budget,
  Change,
  Claim,
  Claimed,
  ClaimRequest,
  EnqueueTerms,
  Enqueued,
  EnqueueRefusal,
  IdempotencyKeys,
  JobOutline,
  JobQueue,
  KeyBinding,
  Lookup,
  Payload,
  PayloadReader,
  QueueEvents,
  Settled,
  Settlement,
  Unavailable,
} from './port.ts';
export type { ClassStats, FlowStats, QueueCheck, SweepReport, SweptJob } from './reports.ts';
export {
  type ClassStatistics,
  type Counters,
  lossReasons,
  runsByRows,
  type StatisticsStore,
  StatisticsTally,
} from './statistics.ts';
export type { QueueRules } from './rules.ts';
