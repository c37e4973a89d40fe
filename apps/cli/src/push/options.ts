/** What `inferry models push` was asked to do; every problem is told. */
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { parseModelReference } from '../model-reference.ts';
import { isS3, parseS3Location, type S3Location } from '../sources/s3-location.ts';

type PushTarget =
  | { readonly kind: 's3'; readonly location: S3Location }
  | { readonly kind: 'path'; readonly path: string };

export interface PushOptions {
  readonly model: string;
  /** Null: all of them. */
  readonly version: string | null;
  readonly modelsDir: string;
  /** A repository: the model becomes a folder there. */
  readonly target: PushTarget;
  readonly isForced: boolean;
  readonly asJson: boolean;
}

/** The error has one line for each problem. */
export function parsePushOptions({
  flags,
  operands,
}: Pick<Invocation, 'flags' | 'operands'>): Result<PushOptions, readonly string[]> {
  const problems: string[] = [];
  const [text = '', to = ''] = operands;
  const reference = parseModelReference(text);
  if (reference === undefined) {
    problems.push(`MODEL must be a name, as in digits, or digits@2, not "${text}"`);
  }
  const target = targetOf(to);
  if (!target.ok) problems.push(target.error);
  const modelsDir = flags.get('models') ?? 'models';
  if (modelsDir === '') problems.push('--models must be the path of a directory, not empty');
  if (isS3(modelsDir)) {
    problems.push('--models must be a directory; "inferry models pull" brings a model from S3');
  }
  if (reference === undefined || !target.ok || problems.length > 0) return err(problems);
  return ok({
    ...reference,
    modelsDir,
    target: target.value,
    isForced: flags.has('force'),
    asJson: flags.has('json'),
  });
}

function targetOf(text: string): Result<PushTarget, string> {
  if (isS3(text)) {
    const location = parseS3Location(text);
    return location.ok
      ? ok({ kind: 's3', location: location.value })
      : err(`TARGET ${location.error}`);
  }
  if (text === '' || /^[a-z][a-z0-9+.-]*:\/\//iu.test(text)) {
    return err(`TARGET must be s3://bucket/folder or a directory, not "${text}"`);
  }
  return ok({ kind: 'path', path: text });
}
