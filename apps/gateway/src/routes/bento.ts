/**
 * A route for each model, called by the names of its inputs as services of BentoML are. Under a prefix: at the
 * root it would take every path of one segment, and proxies that let `/v1` and `/v2` through would not know.
 */
import { callResponse, type CallRequest, parseCall } from '@inferry/protocols';
import { ok } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { type InferCodec, inferOverHttp } from '../http/infer-http.ts';
import { submitBodyOf } from '../http/submit-body.ts';
import { splitReference } from '../model-reference.ts';
import { pathParameter, type Route } from './routes.ts';

const codec: InferCodec<CallRequest> = {
  parse(bytes, manifest, { allocate, header }) {
    const body = submitBodyOf(header('content-type'), bytes);
    return body.ok ? parseCall(body.value, manifest, { allocate }) : body;
  },
  write(manifest, output, request) {
    const headers = { 'Content-Type': 'application/json' };
    return ok({ body: callResponse(manifest, output, request), headers });
  },
};

export function bentoRoutes(parts: GatewayParts): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/bento/{model}',
      surface: 'serving',
      answer: (c) => inferOverHttp(c, splitReference(pathParameter(c, 'model')), codec, parts),
    },
  ];
}
