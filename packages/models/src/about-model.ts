/** What lies in the folder of a model beside its versions, and is common to all of them. */
import { err, ok, type Result } from '@inferry/runtime';
import type { FileProblem } from './file-problem.ts';
import { type Labels, type ModelFolder, readLabels, readSmallText } from './model-folder.ts';
import { type ParsedModelYaml, parseModelYaml } from './model-yaml.ts';
import { findProcessor, type ProcessorFiles } from './processor-files.ts';
import { readTokenizerFile, type TokenizerFile } from './tokenizer-file.ts';

export interface About {
  readonly yaml: ParsedModelYaml;
  readonly labels: readonly string[];
  readonly tokenizer: TokenizerFile | null;
  readonly processor: ProcessorFiles | null;
  /** Beside the model file, what the digest is made of. */
  readonly files: readonly string[];
}

export async function readAbout(
  folder: string,
  found: ModelFolder,
): Promise<Result<About, readonly FileProblem[]>> {
  const file = found.yamlFile;
  const text = found.hasYaml ? await readSmallText(file) : ok('');
  if (!text.ok) return err([{ file, line: null, message: text.error }]);
  const yaml = parseModelYaml(file, text.value);
  if (!yaml.ok) return yaml;
  const about = { yaml: yaml.value, labels: [], tokenizer: null, processor: null, files: [] };
  if (!found.hasYaml) return ok(about);
  const [labels, tokenizer, processor] = await Promise.all([
    labelsOf(folder, yaml.value),
    tokenizerOf(folder, yaml.value),
    processorOf(folder, yaml.value),
  ]);
  if (!labels.ok || !tokenizer.ok || !processor.ok) {
    return err([labels, tokenizer, processor].flatMap((read) => (read.ok ? [] : [read.error])));
  }
  const sources = processor.value?.sources ?? [];
  const files = [file, labels.value.file, tokenizer.value?.file ?? null, ...sources];
  return ok({
    yaml: yaml.value,
    labels: labels.value.labels,
    tokenizer: tokenizer.value,
    processor: processor.value,
    files: files.filter((path) => path !== null),
  });
}

async function labelsOf(
  folder: string,
  yaml: ParsedModelYaml,
): Promise<Result<Labels, FileProblem>> {
  const { classify, detect } = yaml.config.postprocess ?? {};
  const wanted = classify?.labels ?? detect?.labels;
  if (wanted === undefined) return ok({ labels: [], file: null });
  const labels = await readLabels(folder, wanted);
  if (labels.ok) return labels;
  const at = labels.error.file === null ? '' : `${labels.error.file} `;
  const path = ['postprocess', classify === undefined ? 'detect' : 'classify', 'labels'];
  return err(yaml.problemAt(path, `${at}${labels.error.message}`));
}

async function tokenizerOf(
  folder: string,
  yaml: ParsedModelYaml,
): Promise<Result<TokenizerFile | null, FileProblem>> {
  const text = yaml.config.preprocess?.text;
  if (text === undefined) return ok(null);
  const tokenizer = await readTokenizerFile(folder, text.tokenizer);
  if (tokenizer.ok) return tokenizer;
  return err(yaml.problemAt(['preprocess', 'text', 'tokenizer'], tokenizer.error));
}

async function processorOf(
  folder: string,
  yaml: ParsedModelYaml,
): Promise<Result<ProcessorFiles | null, FileProblem>> {
  if (yaml.config.backend !== 'processor') return ok(null);
  const found = await findProcessor(folder);
  return found.ok ? found : err(yaml.problemAt(['backend'], found.error));
}
