/** What `inferry models optimize` was asked to do, read from its flags; every problem is told. */
import { basename, dirname, join, resolve } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import type { Environment } from '../config.ts';
import { parseModelReference } from '../model-reference.ts';

const variants = ['graph', 'fp16', 'int8', 'int8-static'] as const;
export type Variant = (typeof variants)[number];

const levels = ['basic', 'extended', 'all'] as const;
export type Level = (typeof levels)[number];

export interface OptimizeOptions {
  /** The repository that the model's folder lies in. */
  readonly modelsDir: string;
  readonly model: string;
  /** Null: the latest. */
  readonly version: string | null;
  readonly variants: readonly Variant[];
  /** Files and folders; never empty. */
  readonly samples: readonly string[];
  readonly minAgreement: number;
  readonly level: Level;
  readonly out: string;
  readonly install: boolean;
  readonly venv: string;
  readonly asJson: boolean;
}

const minAgreementDefault = 0.99;

/** The error has one line for each problem. */
export function parseOptimizeOptions(
  { flags, lists, operands }: Pick<Invocation, 'flags' | 'lists' | 'operands'>,
  env: Environment,
): Result<OptimizeOptions, readonly string[]> {
  const problems: string[] = [];
  const path = operands[0] ?? '';
  const reference = parseModelReference(basename(path));
  if (reference === undefined) {
    problems.push(`DIR/MODEL must be the folder of a model, or that with @version, not "${path}"`);
  }
  const wanted = lists.get('to') ?? ['graph'];
  for (const word of wanted) {
    if (!isOneOf(variants, word)) {
      problems.push(`--to must be one of ${variants.join(', ')}, not "${word}"`);
    }
  }
  const level = flags.get('level') ?? 'extended';
  if (!isOneOf(levels, level)) {
    problems.push(`--level must be one of ${levels.join(', ')}, not "${level}"`);
  }
  const samples = lists.get('samples') ?? [];
  if (samples.length === 0) {
    problems.push('--samples must be given: a variant is judged by what it answers to real inputs');
  }
  const agreement = flags.get('min-agreement') ?? String(minAgreementDefault);
  const minAgreement = /^(?:0|1|0?\.\d{1,9}|[01]\.\d{1,9})$/u.test(agreement)
    ? Number(agreement)
    : Number.NaN;
  if (!(minAgreement >= 0 && minAgreement <= 1)) {
    problems.push(`--min-agreement must be a number from 0 to 1, not "${agreement}"`);
  }
  if (reference === undefined || problems.length > 0) return err(problems);
  const home = env['XDG_CACHE_HOME'] || join(env['HOME'] ?? '.', '.cache');
  return ok({
    modelsDir: dirname(path),
    ...reference,
    variants: variants.filter((variant) => wanted.includes(variant)),
    samples,
    minAgreement,
    level: isOneOf(levels, level) ? level : 'extended',
    out: flags.get('out') ?? join(dirname(path), reference.model, '.optimized'),
    install: flags.has('install'),
    venv: resolve(flags.get('venv') ?? join(home, 'inferry', 'optimize')),
    asJson: flags.has('json'),
  });
}

function isOneOf<const T extends string>(words: readonly T[], word: string): word is T {
  return words.some((one) => one === word);
}
