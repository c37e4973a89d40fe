/** Does the native library of ONNX Runtime load on this machine? For short-lived processes only. */
import { err, ok, type Result } from '@inferry/runtime';
import { plainReason } from './reason.ts';

/** Loads it into this thread, which a server's main thread must not. The error is the linker's. */
export async function loadRuntime(): Promise<Result<undefined, string>> {
  try {
    await import('onnxruntime-node');
    return ok(undefined);
  } catch (cause) {
    return err(plainReason(cause));
  }
}
