/** The methods of the gRPC inference service, and their messages as plain objects. */
import protobuf from 'protobufjs';

import { wireSchema } from './wire-schema.ts';

/** Members have the names of the schema; one that was not sent has its default. */
export type WireObject = Readonly<Record<string, unknown>>;

export interface WireMethod {
  readonly name: string;
  /** As requests name it: `/inference.GRPCInferenceService/ModelInfer`. */
  readonly path: string;
  readonly isRequestStream: boolean;
  readonly isResponseStream: boolean;
  /** Throws where the bytes are no such message. */
  readonly read: (message: Uint8Array) => WireObject;
  readonly write: (answer: WireObject) => Uint8Array;
}

const serviceName = 'inference.GRPCInferenceService';

/** All of them, in the order of the schema. */
export function wireMethods(): readonly WireMethod[] {
  const { root } = protobuf.parse(wireSchema, { keepCase: true });
  const service = root.resolveAll().lookupService(serviceName);
  return service.methodsArray.map((method): WireMethod => {
    const { resolvedRequestType: request, resolvedResponseType: response } = method;
    if (request === null || response === null) throw new Error(`${method.name} has no types`);
    return {
      name: method.name,
      path: `/${serviceName}/${method.name}`,
      isRequestStream: method.requestStream === true,
      isResponseStream: method.responseStream === true,
      read: (message) => request.toObject(request.decode(message), { defaults: true }),
      write: (answer) => response.encode(response.fromObject(answer)).finish(),
    };
  });
}
