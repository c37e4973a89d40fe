/**
 * Reads what an ONNX file takes and gives, without ONNX Runtime and without its weights: fields that
 * are not needed are passed over by their length. Files of external data are named, never opened.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { fileErrorText, type FileProblem } from './file-problem.ts';
import { decodeValueInfo, type OnnxTensor, type ValueInfo } from './onnx-value-info.ts';
import { type FieldSpan, int64Of, ProtobufFile, ProtobufFileError } from './protobuf-file.ts';

export interface OnnxSignature {
  /** Graph inputs that a caller has to give: those that are also initializers are left out. */
  readonly inputs: readonly OnnxTensor[];
  readonly outputs: readonly OnnxTensor[];
  /** Version of the default operator set; null when the model uses other sets only. */
  readonly opset: number | null;
  /** Name and version of the tool that wrote the file; empty when it does not say. */
  readonly producer: string;
  readonly fileBytes: number;
  /** Files with weights, by their paths from the folder of the model file; each once, in order. */
  readonly dataFiles: readonly string[];
}

/** Bytes of one ValueInfoProto or one name; inputs plus outputs; initializers. */
const valueInfoBytesMax = 1024 * 1024;
const nameBytesMax = 64 * 1024;
const tensorsMax = 4_096;
const initializersMax = 1_000_000;
const dataFilesMax = 1_000;

const gitLfsMark = 'version https://git-lfs';

/** `err` lists every tensor that cannot be served, or the one reason why the file cannot be read. */
export async function readOnnxSignature(
  file: string,
): Promise<Result<OnnxSignature, readonly FileProblem[]>> {
  const problem = (message: string): FileProblem => ({ file, line: null, message });
  try {
    // Opening a pipe would wait for a writer, for ever, before it can be seen to be no regular file.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await readModel(handle);
      return found.ok ? found : err(found.error.map(problem));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof ProtobufFileError) return err([problem(cause.message)]);
    const reason = fileErrorText(cause);
    if (reason === undefined) throw cause;
    return err([problem(reason)]);
  }
}

async function readModel(
  handle: Awaited<ReturnType<typeof open>>,
): Promise<Result<OnnxSignature, readonly string[]>> {
  const stat = await handle.stat();
  if (!stat.isFile()) return err(['is not a regular file']);
  await refuseLfsPointer(handle);
  const source = new ProtobufFile(handle, stat.size);
  let graph: FieldSpan | null = null;
  let opset: number | null = null;
  let hasOpset = false;
  const producer = ['', ''];
  for await (const field of source.fields()) {
    if (field.number === 2 || field.number === 3) {
      producer[field.number - 2] = await readText(source, field);
    } else if (field.number === 7) {
      graph = field;
    } else if (field.number === 8) {
      hasOpset = true;
      opset = (await readDefaultOpset(source, field)) ?? opset;
    }
  }
  if (graph === null) return err(['is not an ONNX model (it holds no graph)']);
  if (!hasOpset) return err(['is truncated or not an ONNX model (it names no operator set)']);
  return readGraph(source, graph, {
    opset,
    producer: producer.join(' ').trim(),
    fileBytes: stat.size,
  });
}

/** A checkout without Git LFS leaves a small text file in the model's place. */
async function refuseLfsPointer(handle: Awaited<ReturnType<typeof open>>): Promise<void> {
  const head = Buffer.alloc(gitLfsMark.length);
  await handle.read(head, 0, head.length, 0);
  if (head.toString('latin1') === gitLfsMark) {
    throw new ProtobufFileError('is a Git LFS pointer, not the model (run git lfs pull)');
  }
}

async function readGraph(
  source: ProtobufFile,
  span: FieldSpan,
  head: Pick<OnnxSignature, 'opset' | 'producer' | 'fileBytes'>,
): Promise<Result<OnnxSignature, readonly string[]>> {
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const initializers = new Set<string>();
  const dataFiles = new Set<string>();
  for await (const field of messageFields(source, span)) {
    if (field.number === 11) inputs.push(await readValueInfo(source, field));
    else if (field.number === 12) outputs.push(await readValueInfo(source, field));
    else if (field.number === 5) {
      const { name, dataFile } = await readInitializer(source, field);
      initializers.add(name);
      if (dataFile !== null) dataFiles.add(dataFile);
    } else if (field.number === 15) initializers.add(await readSparseName(source, field));
    if (inputs.length + outputs.length > tensorsMax) {
      throw new ProtobufFileError(`has more than ${tensorsMax} inputs and outputs`);
    }
    if (initializers.size > initializersMax) {
      throw new ProtobufFileError(`has more than ${initializersMax} initializers`);
    }
    if (dataFiles.size > dataFilesMax) {
      throw new ProtobufFileError(`has weights in more than ${dataFilesMax} files`);
    }
  }
  const wanted = inputs.filter((input) => !initializers.has(input.name));
  const refused = [...wanted, ...outputs].flatMap(({ tensor }) =>
    tensor.ok ? [] : [tensor.error],
  );
  if (outputs.length === 0) refused.push('is not an ONNX model (its graph has no output)');
  for (const file of dataFiles) {
    if (!isAbsolute(file) && !file.split(/[/\\]/u).includes('..')) continue;
    refused.push(`has weights in "${file}", which is not in its folder`);
  }
  if (refused.length > 0) return err(refused);
  return ok({
    ...head,
    dataFiles: [...dataFiles],
    inputs: accepted(wanted),
    outputs: accepted(outputs),
  });
}

function accepted(infos: readonly ValueInfo[]): OnnxTensor[] {
  return infos.flatMap(({ tensor }) => (tensor.ok ? [tensor.value] : []));
}

async function readValueInfo(source: ProtobufFile, field: FieldSpan): Promise<ValueInfo> {
  requireBytes(field);
  const bytes = await source.read(field, valueInfoBytesMax);
  try {
    return decodeValueInfo(bytes);
  } catch {
    throw new ProtobufFileError(
      `is not an ONNX model (an input or output at byte ${field.start} is malformed)`,
    );
  }
}

/** The name of a TensorProto, and the file of its data where that lies elsewhere; the rest is passed over. */
async function readInitializer(
  source: ProtobufFile,
  span: FieldSpan,
): Promise<{ readonly name: string; readonly dataFile: string | null }> {
  let name = '';
  let location: string | null = null;
  let isElsewhere = false;
  for await (const field of messageFields(source, span)) {
    if (field.number === 8) name = await readText(source, field);
    else if (field.number === 13) location = (await readLocation(source, field)) ?? location;
    else if (field.number === 14) isElsewhere = (await readVarint(source, field)) === 1;
  }
  return { name, dataFile: isElsewhere ? location : null };
}

/** The value of a StringStringEntryProto whose key is "location", else null. */
async function readLocation(source: ProtobufFile, span: FieldSpan): Promise<string | null> {
  const entry = ['', ''];
  for await (const field of messageFields(source, span)) {
    if (field.number === 1 || field.number === 2) {
      entry[field.number - 1] = await readText(source, field);
    }
  }
  const [key, value = ''] = entry;
  return key === 'location' ? value : null;
}

/** A SparseTensorProto is called by the name of its values. */
async function readSparseName(source: ProtobufFile, span: FieldSpan): Promise<string> {
  let name = '';
  for await (const field of messageFields(source, span)) {
    if (field.number === 1) ({ name } = await readInitializer(source, field));
  }
  return name;
}

/** The version in an OperatorSetIdProto of the default domain, else null. */
async function readDefaultOpset(source: ProtobufFile, span: FieldSpan): Promise<number | null> {
  let domain = '';
  let version = 0;
  for await (const field of messageFields(source, span)) {
    if (field.number === 1) domain = await readText(source, field);
    else if (field.number === 2) version = await readVarint(source, field);
  }
  return domain === '' || domain === 'ai.onnx' ? version : null;
}

function messageFields(source: ProtobufFile, span: FieldSpan): AsyncGenerator<FieldSpan, void> {
  requireBytes(span);
  return source.fields(span.start, span.end);
}

async function readText(source: ProtobufFile, field: FieldSpan): Promise<string> {
  requireBytes(field);
  return new TextDecoder().decode(await source.read(field, nameBytesMax));
}

async function readVarint(source: ProtobufFile, field: FieldSpan): Promise<number> {
  if (field.wire !== 0) {
    throw new ProtobufFileError(`is not an ONNX model (byte ${field.start} is no number)`);
  }
  return int64Of(await source.read(field, 10));
}

function requireBytes(field: FieldSpan): void {
  if (field.wire !== 2) {
    throw new ProtobufFileError(`is not an ONNX model (byte ${field.start} is no message)`);
  }
}
