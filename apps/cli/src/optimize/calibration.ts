/** Prepared inputs on disk, for the script that calibrates with them: their bytes, and a list of what is where. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Datatype, ModelManifest, PipelineRow, Tensor } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { prepareAll } from '@inferry/worker';

/** More samples take longer and say little more. */
export const calibrationMax = 200;

/** As numpy calls them. */
const dtypes: Partial<Readonly<Record<Datatype, string>>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
};

/** The path of the list. The error says which input cannot be prepared, or what cannot be written so. */
export async function writeCalibration(
  folder: string,
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
): Promise<Result<string, string>> {
  const inputs = rows.map((row) => ({ form: 'pipeline' as const, rows: [row] }));
  const prepared = await prepareAll(manifest, inputs);
  if (!prepared.ok) return prepared;
  const bytes = join(folder, 'calibration.bin');
  const file = await open(bytes, 'w');
  let offset = 0;
  const samples: object[][] = [];
  try {
    for (const tensors of prepared.value) {
      const listed: object[] = [];
      for (const tensor of tensors) {
        const dtype = dtypes[tensor.datatype];
        if (dtype === undefined) return err(`input "${tensor.name}" is ${tensor.datatype}`);
        const { byteLength: length } = tensor.bytes;
        listed.push({ name: tensor.name, dtype, shape: tensor.shape, offset, length });
        await writeAll(file, tensor);
        offset += length;
      }
      samples.push(listed);
    }
  } finally {
    await file.close();
  }
  const list = join(folder, 'calibration.json');
  await writeFile(list, JSON.stringify({ bytes, samples }));
  return ok(list);
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, { bytes }: Tensor): Promise<void> {
  await file.writeFile(bytes);
}
