/** Data of a tensor that came as no JSON: bytes, once it is known how many elements they must be. */
import type { Datatype } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';

export class NativeData {
  /** The error says what does not fit, without the tensor's name. */
  readonly read: (datatype: Datatype, count: number) => Result<Uint8Array, string>;

  constructor(read: NativeData['read']) {
    this.read = read;
  }
}
