export { type Clock, every, sleep, systemClock } from './clock.ts';
export { closeAll, type CloseStep } from './close-all.ts';
export { Emitter, type EventMap } from './emitter.ts';
export { invariant, InvariantError, unreachable } from './invariant.ts';
export { type Random, seededRandom, systemRandom } from './random.ts';
export { err, type Err, ok, type Ok, type Result } from './result.ts';
export { loadableUrl, startThread } from './start-thread.ts';
export { VirtualClock } from './virtual-clock.ts';
