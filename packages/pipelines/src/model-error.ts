/** How an answer is refused that the model should not have given. */
import { type Failure, failure } from '@inferry/contracts';
import { err, type Err } from '@inferry/runtime';

/** `model_error`; the detail follows "The model". */
export function modelError(detail: string): Err<Failure> {
  return err(failure('model_error', `The model ${detail}`));
}
