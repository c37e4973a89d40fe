/** Where in a folder the model lies: sources wrap it in folders, or hold the files of one version alone. */
import { basename, join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';

/** What lies in a folder and is not hidden, by name. */
export interface Listed {
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

/** Tells what is in a folder, on a disk or elsewhere. */
type Look = (folder: string) => Promise<Listed>;

export type ModelRoot =
  | {
      /** The folder holds versions, and what they have in common. */
      readonly kind: 'model';
      readonly folder: string;
    }
  | {
      /** The folder holds the files of one version. */
      readonly kind: 'version';
      readonly folder: string;
      /** Name of its model file, which need not be model.onnx. */
      readonly modelFile: string;
    };

const wrappersMax = 4;
const namesShownMax = 10;
const configs = ['model.yaml', 'config.pbtxt'];

/** `name`: the model that is meant where there are several. The error says what is there instead. */
export async function findModelRoot(
  folder: string,
  name: string | null,
  look: Look,
): Promise<Result<ModelRoot, string>> {
  let at = folder;
  for (let depth = 0; depth <= wrappersMax; depth += 1) {
    const { files, folders } = await look(at);
    if (files.some((file) => configs.includes(file)) || (await holdsVersion(at, folders, look))) {
      return ok({ kind: 'model', folder: at });
    }
    const models = files.filter((file) => file.endsWith('.onnx'));
    const modelFile = models.includes('model.onnx') ? 'model.onnx' : models[0];
    if (modelFile === 'model.onnx' || (modelFile !== undefined && models.length === 1)) {
      return ok({ kind: 'version', folder: at, modelFile });
    }
    if (models.length > 1) {
      return err(`holds several model files: ${listed(models)}; pull one of them`);
    }
    const meant = folders.find((one) => one === name);
    const [first] = folders;
    if (first === undefined) break;
    if (folders.length > 1 && meant === undefined) {
      return err(`holds several folders, of which --name chooses one: ${listed(folders)}`);
    }
    at = join(at, meant ?? first);
  }
  return err('holds no model: expected <name>/<version>/model.onnx, as in iris/1/model.onnx');
}

/** A folder called by a number that holds a model.onnx: anything else may as well be a wrapper. */
async function holdsVersion(
  folder: string,
  folders: readonly string[],
  look: Look,
): Promise<boolean> {
  for (const name of folders.filter((one) => /^[1-9]\d*$/u.test(basename(one)))) {
    if ((await look(join(folder, name))).files.includes('model.onnx')) return true;
  }
  return false;
}

export function listed(names: readonly string[]): string {
  const more = names.length - namesShownMax;
  return `${names.slice(0, namesShownMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
