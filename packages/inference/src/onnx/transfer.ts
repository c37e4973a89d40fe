/**
 * Tensors made ready to be posted to another thread. A buffer is moved, not copied, when a tensor owns all
 * of it; a view into something larger (a frame, a pooled Buffer, a network chunk) is copied first, since
 * moving it would take its neighbours along.
 */
import type { Tensor } from '@inferry/contracts';

/** The tensor to post; buffers to move are added to `moved`. */
export function posted(tensor: Tensor, moved: Set<ArrayBuffer>): Tensor {
  const { buffer, byteLength } = tensor.bytes;
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  const bytes = isWhole ? tensor.bytes : Uint8Array.from(tensor.bytes);
  moved.add(bytes.buffer as ArrayBuffer);
  // A plain view: a Buffer would arrive as one backed by the same memory, but typed differently.
  return { ...tensor, bytes: new Uint8Array(bytes.buffer, 0, byteLength) };
}
