/** How an input that cannot become tensors is refused: one failure that names every problem found. */
import { type Failure, failure } from '@inferry/contracts';
import { err, type Err } from '@inferry/runtime';

/** Problems named in one answer; a body with thousands of bad fields stays readable. */
const problemsMax = 20;

/** `input_rejected` with the first problem as its detail and all of them in `errors`. */
export function reject(problems: readonly string[]): Err<Failure> {
  const shown = problems.slice(0, problemsMax);
  const hidden = problems.length - shown.length;
  if (hidden > 0) shown.push(`and ${hidden} more`);
  return err(failure('input_rejected', shown.join('; '), { extras: { errors: shown } }));
}
