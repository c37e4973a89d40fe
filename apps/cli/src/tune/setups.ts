/** Which settings are worth measuring on this machine. Pure. */
import type { Setup } from './curve.ts';

/** More settings than this would leave each too little time. */
const setupsMax = 16;
/** Sessions on one GPU: their runs follow each other there, so that more do not add up. */
const gpuInstances = [1, 2, 4] as const;

/**
 * On a CPU every division of the cores into sessions of 1, 2, 4, ... threads, and fewer sessions where
 * memory bandwidth may be what runs out; the ones that use all cores first. On a GPU numbers of sessions.
 * `now` is what the model has at present: it is measured too, first, so that the gain is known.
 */
export function setupsFor(
  kind: 'cpu' | 'cuda' | 'tensorrt',
  cores: number,
  now: Setup,
): readonly Setup[] {
  const all = kind === 'cpu' ? divisions(cores) : gpuInstances.map((count) => onGpu(count, now));
  const isNow = ({ instances, threads }: Setup): boolean =>
    instances === now.instances && threads === now.threads;
  return [now, ...all.filter((setup) => !isNow(setup))].slice(0, setupsMax);
}

/** Threads inside a run hardly matter there and stay what they are. */
function onGpu(instances: number, { threads }: Setup): Setup {
  return { threads, instances };
}

function divisions(cores: number): readonly Setup[] {
  const setups = powersOfTwo(cores).flatMap((threads) =>
    powersOfTwo(Math.floor(cores / threads)).map((instances) => ({ threads, instances })),
  );
  const idleCores = ({ instances, threads }: Setup): number => cores - instances * threads;
  return setups.toSorted((a, b) => idleCores(a) - idleCores(b) || a.threads - b.threads);
}

/** 1, 2, 4, ... and `most` itself. */
function powersOfTwo(most: number): readonly number[] {
  const powers: number[] = [];
  for (let power = 1; power < most; power *= 2) powers.push(power);
  return [...powers, most];
}
