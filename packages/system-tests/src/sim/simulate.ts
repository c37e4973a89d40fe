/** One run of the world: a policy, its clients, and what came of it. */
import { closedLoop, type ClosedLoop } from './clients.ts';
import { type Figures, figures } from './measures.ts';
import { type Policy, type Request, World, type WorldOptions } from './world.ts';

export interface Experiment {
  readonly world: WorldOptions;
  readonly policy: (world: World) => Policy;
  readonly clients: (world: World) => void;
  /** Answers within this time are good, ms. */
  readonly targetMs: number;
}

export interface Result {
  readonly figures: Figures;
  /** Figures of one tenant. */
  readonly of: (tenant: string) => Figures;
  /** What did not hold, in words; empty when all is well. */
  readonly broken: readonly string[];
  readonly requests: readonly Request[];
  readonly longestRunMs: number;
}

/** Runs until every request has ended. The same experiment has the same result. */
export async function simulate({
  clients,
  policy,
  targetMs,
  ...rest
}: Experiment): Promise<Result> {
  const world = new World(rest.world);
  const served = policy(world);
  world.policy = served;
  clients(world);
  await world.engine.run();
  const broken = [...((await served.broken?.()) ?? [])];
  if (world.ended.length !== world.sent) {
    broken.push(`conservation: ${world.sent} requests were sent and ${world.ended.length} ended`);
  }
  return {
    figures: figures(world, targetMs),
    of: (tenant) => figures(world, targetMs, (request) => request.tenant === tenant),
    broken,
    requests: world.ended,
    longestRunMs: world.longestRunMs,
  };
}

/** The clients of {@link closedLoop} as part of an experiment. */
export function loop(options: ClosedLoop): (world: World) => void {
  return (world) => closedLoop(world, options);
}
