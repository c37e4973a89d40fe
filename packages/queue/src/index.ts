export { createBullmqQueue } from './bullmq/bullmq-queue.ts';
export type { BullmqQueueOptions } from './bullmq/queue-context.ts';
export { openPayloadReader, type PayloadReaderOptions } from './bullmq/payload-reader.ts';
export { inspectRedis, type RedisReport } from './bullmq/redis-inspection.ts';
export { createMemoryQueue, type MemoryQueueOptions } from './memory/memory-queue.ts';
export type {
  Budget,
  Change,
  Claim,
  Claimed,
  ClaimRequest,
  ClassStats,
  EnqueueTerms,
  Enqueued,
  EnqueueRefusal,
  FlowStats,
  IdempotencyKeys,
  JobOutline,
  JobQueue,
  KeyBinding,
  Lookup,
  Payload,
  PayloadReader,
  QueueCheck,
  QueueEvents,
  Settled,
  Settlement,
  SweepReport,
  SweptJob,
  Unavailable,
} from './port.ts';
export type { QueueRules } from './rules.ts';
