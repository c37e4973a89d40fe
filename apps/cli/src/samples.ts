/**
 * Inputs of one row each from files, as a model's pipeline takes them, with labels where they are known:
 * images, and JSON files with a row or a list of rows.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest, PipelineRow } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { type Input, inputBytesMax, mediaTypeOf, readInputs, tooLarge } from './bench/inputs.ts';

export interface Sample {
  /** The file, and the place in it where it holds several. */
  readonly name: string;
  readonly row: PipelineRow;
  /** Null where it is not known. */
  readonly label: string | null;
}

const rowsMax = 100_000;

/**
 * The samples at `paths`. In a folder, the samples in a sub-folder have its name as their label; a JSON row
 * may bring its own as `{"input": {...}, "label": "..."}`. The error names the file, or
 * the flag that the paths were given with.
 */
export async function readSamples(
  paths: readonly string[],
  manifest: ModelManifest,
  flag: string,
): Promise<Result<readonly Sample[], string>> {
  if (manifest.preprocess.kind === 'none') {
    return err(
      `${manifest.name} has no preprocess section in its model.yaml: there is no pipeline that takes files`,
    );
  }
  const samples: Sample[] = [];
  let bytes = 0;
  for (const path of paths) {
    const labels = await labelsOf(path);
    if (!labels.ok) return err(`${flag} ${path}: ${labels.error}`);
    // A folder of folders has its files in them; one without is read itself.
    const sources = labels.value.length === 0 ? [path] : labels.value.map((one) => join(path, one));
    for (const [i, source] of sources.entries()) {
      const inputs = await readInputs([source], flag);
      if (!inputs.ok) return inputs;
      for (const input of inputs.value) {
        const read = samplesIn(input, manifest, labels.value[i] ?? null);
        if (!read.ok) return err(`${input.name}: ${read.error}`);
        samples.push(...read.value);
        bytes += input.bytes.length;
      }
      if (bytes > inputBytesMax) return err(tooLarge(flag));
      if (samples.length > rowsMax) return err(`${flag}: there are more than ${rowsMax} samples`);
    }
  }
  const stranger = strangeLabel(samples, manifest);
  if (stranger !== undefined) return err(stranger);
  return samples.length === 0 ? err(`${flag}: there is no sample`) : ok(samples);
}

/** A label that the model never gives would count every answer as wrong. */
function strangeLabel(
  samples: readonly Sample[],
  { postprocess }: ModelManifest,
): string | undefined {
  if (postprocess.kind !== 'classify') return undefined;
  const { labels } = postprocess;
  const sample = samples.find(({ label }) => label !== null && !labels.includes(label));
  if (sample === undefined) return undefined;
  const some = labels.slice(0, 10).join(', ');
  return `${sample.name}: "${sample.label ?? ''}" is none of the model's ${labels.length} labels (${some}${labels.length > 10 ? ', ...' : ''})`;
}

/** The folders in a folder, without hidden ones. A file beside them would be passed over: it is an error. */
async function labelsOf(path: string): Promise<Result<readonly string[], string>> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
    const stray = entries.find((entry) => entry.isFile() && mediaTypeOf(entry.name) !== undefined);
    if (folders.length > 0 && stray !== undefined) {
      return err(`"${stray.name}" lies beside folders, whose names are labels; move it into one`);
    }
    return ok(folders.map(({ name }) => name).toSorted());
  } catch {
    // A file, or nothing: whoever reads it says so.
    return ok([]);
  }
}

function samplesIn(
  { bytes, mediaType, name }: Input,
  { preprocess }: ModelManifest,
  label: string | null,
): Result<readonly Sample[], string> {
  if (mediaType !== 'application/json') {
    if (preprocess.kind !== 'image') return err('the model takes rows of JSON');
    return ok([{ name, label, row: { [preprocess.input]: bytes } }]);
  }
  if (preprocess.kind === 'image') return err('the model takes images');
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const rows: readonly unknown[] = Array.isArray(value) ? value : [value];
  const samples: Sample[] = [];
  for (const [i, row] of rows.entries()) {
    const place = rows.length === 1 ? name : `${name} row ${i}`;
    if (!isRow(row)) return err(`row ${i} must be a JSON object`);
    const own = row['label'];
    if (isRow(row['input']) && Object.keys(row).every((key) => ['input', 'label'].includes(key))) {
      const given = typeof own === 'string' || typeof own === 'number' ? String(own) : label;
      samples.push({ name: place, label: given, row: row['input'] });
    } else {
      samples.push({ name: place, label, row });
    }
  }
  return ok(samples);
}

function isRow(value: unknown): value is PipelineRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
