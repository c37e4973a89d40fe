/** What is read of a version's model file: its signature, and the digest of all that belongs to it. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { digestOf } from './digest.ts';
import { fileErrorText, type FileProblem } from './file-problem.ts';
import { type OnnxSignature, readOnnxSignature } from './onnx-signature.ts';

export interface VersionFiles {
  readonly signature: OnnxSignature;
  readonly digest: string;
}

/** `others` are files that the model is made of beside its file and the weights it names. */
export async function readVersionFiles(
  modelFile: string,
  others: readonly string[],
): Promise<Result<VersionFiles, readonly FileProblem[]>> {
  const signature = await readOnnxSignature(modelFile);
  if (!signature.ok) return signature;
  const weights = signature.value.dataFiles.map((file) => join(dirname(modelFile), file));
  const unusable = await unusableFiles(weights);
  if (unusable.length > 0) return err(unusable);
  const digest = await digestOfFiles([modelFile, ...weights, ...others], dirname(modelFile));
  return digest.ok ? ok({ signature: signature.value, digest: digest.value }) : digest;
}

/** The digest, or a problem with `folder`, which the files are of. */
export async function digestOfFiles(
  files: readonly string[],
  folder: string,
): Promise<Result<string, readonly FileProblem[]>> {
  const digest = await readable(() => digestOf(files));
  return digest.ok ? digest : err([{ file: folder, line: null, message: digest.error }]);
}

/** Those that are missing, or no files. */
async function unusableFiles(files: readonly string[]): Promise<readonly FileProblem[]> {
  const problems: FileProblem[] = [];
  for (const file of files) {
    const found = await readable(() => stat(file));
    const isFile = found.ok && found.value.isFile();
    const message = found.ok ? 'is not a regular file' : found.error;
    if (!isFile) problems.push({ file, line: null, message });
  }
  return problems;
}

/** The value, or why the operating system refused. */
export async function readable<T>(read: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await read());
  } catch (cause) {
    const reason = fileErrorText(cause);
    if (reason === undefined) throw cause;
    return err(reason);
  }
}
