/** The routes as plain data, and how they become a router that knows the methods of each path. */
import { failure } from '@inferry/contracts';
import type { Hono } from 'hono';

import type { Exchange } from '../exchange.ts';
import { type GatewayContext, type GatewayEnv, problem } from '../http/exchange.ts';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With parameters in braces, as in the OpenAPI document: `/v1/jobs/{id}`. */
  readonly path: string;
  /** In whose words problems are told; absent where the path says it. */
  readonly surface?: Exchange['surface'];
  readonly answer: (c: GatewayContext) => Response | Promise<Response>;
}

/**
 * Registers the routes; other methods on their paths are 405 with `Allow`. Where a request fits several paths,
 * the one that comes first has it, with whatever method.
 */
export function register(app: Hono<GatewayEnv>, routes: readonly Route[]): void {
  const paths = new Map<string, Route[]>();
  for (const route of routes) paths.set(route.path, [...(paths.get(route.path) ?? []), route]);
  for (const [path, ofPath] of paths) {
    for (const route of ofPath) {
      app.on(route.method, routerPath(path), (c) => {
        enter(c, route);
        return route.answer(c);
      });
    }
    const methods = ofPath.map(({ method }) => method);
    const all = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
    app.all(routerPath(path), (c) => {
      for (const route of ofPath) enter(c, route);
      const detail = `${path} takes ${all.join(', ')}.`;
      return problem(c, failure('method_not_allowed', detail), { Allow: all.join(', ') });
    });
  }
}

function enter(c: GatewayContext, { path, surface }: Route): void {
  const exchange = c.get('exchange');
  exchange.route = path;
  if (surface !== undefined) exchange.surface = surface;
}

/** The value of a path parameter, without the `verb` behind it; the router only matches when both are there. */
export function pathParameter(c: GatewayContext, name: string, verb = ''): string {
  const value = c.req.param(name) ?? '';
  return value.slice(0, value.length - verb.length);
}

/** `{model}:predict` is one segment, and its parameter for the router; {@link pathParameter} takes the verb off. */
function routerPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}(:\w+)/gu, ':$1{[^/]+$2}').replaceAll(/\{(\w+)\}/gu, ':$1');
}
