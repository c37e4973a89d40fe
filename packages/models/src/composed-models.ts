/**
 * Ensembles and processors against the rest of their repository: every model that one runs must be there, and none may
 * run itself, on whatever way round.
 */
import type { ModelManifest, ModelRouting } from '@inferry/contracts';
import type { FileProblem } from './file-problem.ts';

/** A model that a composed one runs, where it says so. */
export interface NamedModel {
  readonly model: string;
  /** A version or a label; null for the one that requests without a version get. */
  readonly version: string | null;
  readonly problem: (message: string) => FileProblem;
}

/** What each composed model runs, by its name: the same for all its versions. */
export type Compositions = ReadonlyMap<string, readonly NamedModel[]>;

export interface CheckedCompositions {
  /** Those of the models given that can be served. */
  readonly models: readonly ModelManifest[];
  readonly problems: readonly { readonly model: string; readonly problem: FileProblem }[];
}

/** `broken` are names of those among the models that cannot be served for another reason, which was told. */
export function checkCompositions(
  models: readonly ModelManifest[],
  compositions: Compositions,
  routing: Readonly<Record<string, ModelRouting>>,
  broken: readonly string[] = [],
): CheckedCompositions {
  const problems: { readonly model: string; readonly problem: FileProblem }[] = [];
  const refused = new Set(broken);
  const refuse = (model: string, problem: FileProblem): void => {
    problems.push({ model, problem });
    refused.add(model);
  };
  for (const [name, steps] of compositions) {
    for (const step of steps) {
      const way = wayTo(name, step.model, compositions);
      if (way === undefined) continue;
      refuse(name, step.problem(`"${step.model}" runs it again: ${[name, ...way].join(' -> ')}`));
      break;
    }
  }
  // One that is refused may be what another runs, and so on.
  for (let before = -1; before < refused.size;) {
    before = refused.size;
    for (const [name, steps] of compositions) {
      if (refused.has(name)) continue;
      for (const step of steps) {
        const message = missing(step, models, routing, refused);
        if (message !== undefined) refuse(name, step.problem(message));
      }
    }
  }
  return { models: models.filter(({ name }) => !refused.has(name)), problems };
}

function missing(
  { model, version }: NamedModel,
  models: readonly ModelManifest[],
  routing: Readonly<Record<string, ModelRouting>>,
  refused: ReadonlySet<string>,
): string | undefined {
  if (refused.has(model)) return `"${model}" is not served itself`;
  const versions = models.filter(({ name }) => name === model).map((found) => found.version);
  if (versions.length === 0) return `the repository serves no model "${model}"`;
  const labels = Object.keys(routing[model]?.labels ?? {});
  if (version === null || versions.includes(version) || labels.includes(version)) return undefined;
  return `model "${model}" has no version "${version}"; it has: ${[...versions, ...labels].join(', ')}`;
}

/** The models that lead from `from` to `to`, both included; undefined when none do. */
function wayTo(to: string, from: string, compositions: Compositions): string[] | undefined {
  const cameFrom = new Map<string, string | null>([[from, null]]);
  for (const name of cameFrom.keys()) {
    if (name === to) {
      const way: string[] = [];
      for (let at: string | null = name; at !== null; at = cameFrom.get(at) ?? null) way.push(at);
      return way.toReversed();
    }
    for (const { model } of compositions.get(name) ?? []) {
      if (!cameFrom.has(model)) cameFrom.set(model, name);
    }
  }
  return undefined;
}
