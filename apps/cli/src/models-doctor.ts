/** `inferry models doctor DIR`: what would be served and how, what not, and why. */
import { join, relative, resolve } from 'node:path';
import {
  concurrentMaxDefault,
  type EnsembleStep,
  type InstanceGroup,
  isComposed,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';
import {
  loadRepository,
  problemText,
  type Repository,
  type RepositoryProblem,
} from '@inferry/models';
import { whyServed } from './repository/why-served.ts';

/** What a command has to say, and how it ends. */
export interface Report {
  /** For standard output. */
  readonly data: string;
  /** For standard error. */
  readonly remarks: string;
  readonly exitCode: 0 | 1 | 2;
}

/** Reads the repository without loading a model. With a problem the exit code is 2; a warning is none. */
export async function examineModels(directory: string, asJson: boolean): Promise<Report> {
  const repository = await loadRepository(directory);
  const { choices, models, problems, routing, warnings } = repository;
  const exitCode = problems.length === 0 ? 0 : 2;
  if (asJson) {
    const shown = models.map((manifest) => ({ ...manifest, file: fileOf(manifest, directory) }));
    const document = { directory, models: shown, problems, warnings, routing, choices };
    return { data: `${JSON.stringify(document, null, 2)}\n`, remarks: '', exitCode };
  }
  const counts = [
    ...(problems.length === 0 ? [] : [counted(problems.length, 'problem')]),
    ...(warnings.length === 0 ? [] : [counted(warnings.length, 'warning')]),
  ];
  return {
    data: blocks(repository).join('\n'),
    remarks: counts.length === 0 ? '' : `${counts.join(', ')}\n`,
    exitCode,
  };
}

function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** One for each version that is served, then one for each that is not, by name. */
function blocks(repository: Repository): readonly string[] {
  const { choices, directory, models, problems, warnings } = repository;
  const said = [...problems, ...warnings].map(({ model }) => model);
  const names = [...new Set([...models.map(({ name }) => name), ...said])];
  return names
    .toSorted((a, b) => (a ?? '').localeCompare(b ?? '', 'en'))
    .flatMap((name) => {
      const served = models.filter((manifest) => manifest.name === name);
      const about = warnings.filter(({ model }) => model === name);
      const versions = new Set(
        problems.filter(({ model }) => model === name).map((p) => p.version),
      );
      if (served.length === 0 && versions.size === 0) versions.add(null);
      return [
        ...served.map((manifest) =>
          servedBlock(manifest, directory, [
            ['served', whyServed(repository, manifest.name, manifest.version)],
            ...about
              .filter(({ version }) => version === null || version === manifest.version)
              .map((warning): Line => ['warning', problemText(warning)]),
          ]),
        ),
        ...leftOut(name ?? '', choices),
        ...[...versions].map((version, i) => {
          const own = problems.filter((p) => p.model === name && p.version === version);
          // Where no version is served, what is said of the model is said once.
          const unserved = served.length === 0 && i === 0 ? about : [];
          return block(`${titleOf(name, version)}: not served`, [
            ...reasons(own, 'because'),
            ...reasons(unserved, 'warning'),
          ]);
        }),
      ];
    });
}

/** Versions that are in the folder, and that nothing asks for. */
function leftOut(name: string, choices: Repository['choices']): readonly string[] {
  const { policy = '', unserved = [] } = choices[name] ?? {};
  if (unserved.length === 0) return [];
  const because = `policy ${policy} leaves ${unserved.length === 1 ? 'it' : 'them'} out, and no label and no traffic asks for ${unserved.length === 1 ? 'it' : 'them'}`;
  return [block(`${name} ${unserved.join(', ')}: not served`, [['because', because]])];
}

/** The block of a version that is served, with `more` lines at its end. */
export function servedBlock(
  manifest: ModelManifest,
  directory: string,
  more: readonly Line[],
): string {
  const title = `${manifest.name} ${manifest.version}`;
  return block(title, [...facts(manifest, directory), ...more]);
}

function titleOf(name: string | null, version: string | null): string {
  if (name === null) return 'the repository';
  return version === null ? name : `${name} ${version}`;
}

function reasons(problems: readonly RepositoryProblem[], label: string): readonly Line[] {
  return problems.map((problem) => [label, problemText(problem)]);
}

type Line = readonly [label: string, text: string];
const labelWidth = 11;

function block(title: string, lines: readonly Line[]): string {
  const body = lines.map(([label, text]) => `  ${label.padEnd(labelWidth)}${text}\n`);
  return `${title}\n${body.join('')}`;
}

function facts(manifest: ModelManifest, directory: string): readonly Line[] {
  const { modelConfig, postprocess, preprocess } = manifest;
  const file = fileOf(manifest, directory) ?? withoutFile(manifest);
  const taken = manifest.inputs.map((spec) => tensorText(spec, manifest));
  const given = manifest.outputs.map((spec) => tensorText(spec, manifest));
  return [
    ['file', modelConfig === undefined ? file : `${file}, as config.pbtxt says`],
    [
      'takes',
      preprocess.kind === 'none'
        ? taken.join(', ')
        : `${preprocess.kind} input, or ${taken.join(', ')}`,
    ],
    [
      'gives',
      postprocess.kind === 'none'
        ? given.join(', ')
        : `${postprocess.kind}, or ${given.join(', ')}`,
    ],
    ...(isComposed(manifest) ? composedFacts(manifest) : sessionFacts(manifest)),
    ['waiting', waitingText(manifest)],
    ...(manifest.hasResponseCache === true ? [['cache', 'gateways keep answers'] as const] : []),
    ...(manifest.metricTags === undefined
      ? []
      : [['tags', Object.entries(manifest.metricTags).map(tagText).join(', ')] as const]),
    ...(manifest.warmupSamples === undefined
      ? []
      : [['warm-up', counted(manifest.warmupSamples.length, 'sample')] as const]),
  ];
}

function sessionFacts(manifest: ModelManifest): readonly Line[] {
  return [
    ['batches', batchesText(manifest)],
    ['instances', manifest.instances.map(instanceText).join(', ')],
  ];
}

function composedFacts(manifest: ModelManifest): readonly Line[] {
  const {
    concurrentMax = concurrentMaxDefault,
    ensemble,
    executionTimeoutMs,
    processor,
  } = manifest;
  const steps = (ensemble?.steps ?? []).map(({ model, version }) =>
    version === null ? model : `${model} ${version}`,
  );
  const own =
    processor === undefined
      ? ''
      : `; ${counted(processor.stepsMax, 'step')} a job, ${executionTimeoutMs} ms between two`;
  return [
    ['runs', `${(processor?.runs ?? steps).join(', ')}: each step joins a batch of its model`],
    ...(ensemble?.steps ?? []).map((step, i): Line => [`step ${i + 1}`, stepText(step)]),
    ['at a time', `at most ${counted(concurrentMax, 'job')} in a worker${own}`],
  ];
}

/** `scale: PIXELS is PHOTO; gives IMAGE as SCALED`. */
function stepText({ inputs, model, outputs, version }: EnsembleStep): string {
  const taken = Object.entries(inputs).map(([name, tensor]) => `${name} is ${tensor}`);
  const given = Object.entries(outputs).map(([name, tensor]) => `${name} as ${tensor}`);
  const of = version === null ? model : `${model} ${version}`;
  return `${of}: ${taken.join(', ')}; gives ${given.join(', ')}`;
}

function withoutFile({ backend }: ModelManifest): string {
  return backend === 'ensemble' ? 'none, an ensemble of models' : 'none, the model is simulated';
}

/** As the directory was given; null for a simulated model and for an ensemble. */
export function fileOf({ file, processor }: ModelManifest, directory: string): string | null {
  const path = file ?? processor?.file ?? null;
  return path === null ? null : join(directory, relative(resolve(directory), path));
}

/** `x FP32[-1,2,2], to the model [-1,4]`. */
function tensorText(
  { datatype, name, runShape, shape }: TensorSpec,
  { outputLabels }: ModelManifest,
): string {
  const inner = runShape === undefined ? '' : ` (to the model [${runShape.join(',')}])`;
  const labels = outputLabels?.[name];
  const named = labels === undefined ? '' : ` with ${counted(labels.length, 'label')}`;
  return `${name} ${datatype}[${shape.join(',')}]${inner}${named}`;
}

function batchesText({ joinedRowsMax, linger, maxBatchSize }: ModelManifest): string {
  if (maxBatchSize === 0) return 'one request a run: the model has no batch dimension';
  const rows = counted(maxBatchSize, 'row');
  if (joinedRowsMax === 1)
    return `one request a run, of at most ${rows}: there is no dynamic_batching`;
  const size =
    joinedRowsMax === undefined
      ? `at most ${rows} a run`
      : `requests share a run up to ${counted(joinedRowsMax, 'row')}; a larger one, of at most ${maxBatchSize}, runs alone`;
  switch (linger.mode) {
    case 'none':
      return `${size}; a free slot waits for no company`;
    case 'auto':
      return `${size}; a free slot waits at most ${linger.maxMs} ms, where that pays`;
    case 'defer':
      return `${size}; a free slot waits at most ${linger.maxMs} ms for ${linger.rowsEnough === undefined ? 'a full batch' : counted(linger.rowsEnough, 'row')}`;
  }
}

function waitingText({
  queueDepthMax,
  queueTimeoutMs,
  queueTimeoutsMs = {},
  timeoutMs,
}: ModelManifest): string {
  const start = queueTimeoutMs === undefined ? '' : `, begun within ${queueTimeoutMs} ms`;
  const own = Object.entries(queueTimeoutsMs).map(([priority, ms]) =>
    ms === null ? `; ${priority}: at any time` : `; ${priority}: begun within ${ms} ms`,
  );
  return `at most ${counted(queueDepthMax, 'job')}, each ended within ${timeoutMs} ms${start}${own.join('')}`;
}

/** As a label of Triton's metrics. */
function tagText([name, value]: readonly [string, string]): string {
  return `_${name}="${value}"`;
}

function instanceText({ count, gpus, kind }: InstanceGroup): string {
  return `${count} x ${kind}${gpus === undefined ? '' : ` (device ${gpus.join(', ')})`}`;
}
