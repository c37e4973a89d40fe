/** The model repository extension of Triton: its index, load and unload. */
import type { ControlOrder } from '@inferry/contracts';
import { failure } from '@inferry/contracts';
import { parseControl, parseIndexRequest } from '@inferry/protocols';

import type { GatewayParts } from '../deps.ts';
import { answer, answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import { readBody } from '../http/read-body.ts';
import { repositoryIndex } from '../model-state.ts';
import { pathParameter, type Route } from './routes.ts';

export function repositoryRoutes(parts: GatewayParts): readonly Route[] {
  const index = (c: GatewayContext): Promise<Response> => tellIndex(c, parts);
  return [
    { method: 'POST', path: '/v2/repository/index', answer: index },
    // There is one repository, whatever it is called.
    { method: 'POST', path: '/v2/repository/{repository}/index', answer: index },
    ...controlRoutes('load', 'loaded', parts),
    ...controlRoutes('unload', 'unloaded', parts),
  ];
}

function controlRoutes(
  verb: string,
  want: ControlOrder['want'],
  parts: GatewayParts,
): readonly Route[] {
  return [
    {
      method: 'POST',
      path: `/v2/repository/models/{model}/${verb}`,
      answer: (c) => control(c, want, parts),
    },
    {
      method: 'POST',
      path: `/v2/repository/{repository}/models/{model}/${verb}`,
      answer: (c) => problem(c, namedRepository),
    },
  ];
}

/** Triton does not serve these paths either, and answers so. */
export const namedRepository = failure(
  'not_implemented',
  'Repositories have no names here: leave it out to load and unload models.',
);

const foreignPage = failure(
  'model_control_off',
  'A page of another site does not load and unload models here.',
);

async function tellIndex(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  // Not given back: such a body is small, or is refused.
  const bytes = await readBody(c, parts.bodyMemory.lend(), parts);
  if (!bytes.ok) return problem(c, bytes.error);
  const wanted = parseIndexRequest(bytes.value);
  return wanted.ok
    ? answerJson(c, repositoryIndex(parts.catalogue, wanted.value))
    : problem(c, wanted.error);
}

async function control(
  c: GatewayContext,
  want: ControlOrder['want'],
  parts: GatewayParts,
): Promise<Response> {
  // Browsers say so by themselves, and let any page post to a server on this machine.
  if (c.req.header('sec-fetch-site') === 'cross-site') return problem(c, foreignPage);
  const bytes = await readBody(c, parts.bodyMemory.lend(), parts);
  if (!bytes.ok) return problem(c, bytes.error);
  const request = parseControl(bytes.value, want);
  if (!request.ok) return problem(c, request.error);
  const env: GatewayContext['env'] | undefined = c.env;
  const ended = await parts.control.carryOut({
    model: pathParameter(c, 'model'),
    want,
    requestId: c.get('exchange').requestId,
    peer: env?.incoming?.socket.remoteAddress,
    signal: c.req.raw.signal,
  });
  return ended.ok ? answer(c, { status: 200, body: null }) : problem(c, ended.error);
}
