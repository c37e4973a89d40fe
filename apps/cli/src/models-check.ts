/** `inferry models check DIR`: what would be served, and every problem. */
import type { InstanceGroup, ModelManifest } from '@inferry/contracts';
import { loadRepository, problemText } from '@inferry/models';

export interface CheckReport {
  /** For standard output. */
  readonly data: string;
  /** For standard error. */
  readonly remarks: string;
  readonly exitCode: 0 | 2;
}

/** Reads the repository without loading a model. `asJson` puts problems into the data as well. */
export async function checkModels(directory: string, asJson: boolean): Promise<CheckReport> {
  const { models, problems } = await loadRepository(directory);
  const exitCode = problems.length === 0 ? 0 : 2;
  if (asJson) {
    const document = {
      directory,
      models: models.map(({ file: _file, ...manifest }) => manifest),
      problems,
    };
    return { data: `${JSON.stringify(document, null, 2)}\n`, remarks: '', exitCode };
  }
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return {
    data: models.map((manifest) => `${modelLine(manifest)}\n`).join(''),
    remarks: problems.length === 0 ? '' : `${problems.map(problemText).join('\n')}\n${count}\n`,
    exitCode,
  };
}

/** `iris 1: tabular in, classify out, at most 64 rows a run, 1 x cpu` */
function modelLine(manifest: ModelManifest): string {
  const inputs = manifest.inputs.map(
    ({ name, datatype, shape }) => `${name} ${datatype}[${shape.join(',')}]`,
  );
  const taken =
    manifest.preprocess.kind === 'none' ? inputs.join(' ') : `${manifest.preprocess.kind} input`;
  const given =
    manifest.postprocess.kind === 'none'
      ? manifest.outputs.map(({ name }) => name).join(' ')
      : manifest.postprocess.kind;
  const rows =
    manifest.maxBatchSize === 0 ? 'one job a run' : `${manifest.maxBatchSize} rows a run`;
  const instances = manifest.instances.map(instanceText).join(', ');
  return `${manifest.name} ${manifest.version}: ${taken} -> ${given}; ${rows}; ${instances}`;
}

function instanceText({ kind, count }: InstanceGroup): string {
  return `${count} x ${kind}`;
}
