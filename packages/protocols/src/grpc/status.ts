/** Status codes of gRPC for the failures of the registry, told by the status that each has over HTTP. */
import { type ErrorCode, errorRegistry } from '@inferry/contracts';

const grpcStatus = {
  canceled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export function grpcStatusOf(code: ErrorCode): number {
  if (code === 'canceled_by_user') return grpcStatus.canceled;
  switch (errorRegistry[code].status) {
    case 404:
    case 410:
      return grpcStatus.notFound;
    case 405:
    case 501:
      return grpcStatus.unimplemented;
    case 409:
      return grpcStatus.aborted;
    case 408:
    case 504:
      return grpcStatus.deadlineExceeded;
    case 413:
    case 429:
      return grpcStatus.resourceExhausted;
    case 500:
      return grpcStatus.internal;
    case 503:
      return grpcStatus.unavailable;
    default:
      return grpcStatus.invalidArgument;
  }
}
