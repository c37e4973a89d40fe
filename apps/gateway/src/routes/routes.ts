/** The routes as plain data, and how they become a router that knows the methods of each path. */
import { failure } from '@inferry/contracts';
import type { Hono } from 'hono';

import { type GatewayContext, type GatewayEnv, problem } from '../http/exchange.ts';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With parameters in braces, as in the OpenAPI document: `/v1/jobs/{id}`. */
  readonly path: string;
  readonly answer: (c: GatewayContext) => Response | Promise<Response>;
}

/** Registers the routes; other methods on their paths are 405 with `Allow`. */
export function register(app: Hono<GatewayEnv>, routes: readonly Route[]): void {
  const methods = new Map<string, string[]>();
  for (const route of routes) {
    methods.set(route.path, [...(methods.get(route.path) ?? []), route.method]);
    app.on(route.method, routerPath(route.path), (c) => {
      c.get('exchange').route = route.path;
      return route.answer(c);
    });
  }
  for (const [path, allowed] of methods) {
    const all = allowed.includes('GET') ? [...allowed, 'HEAD'] : allowed;
    app.all(routerPath(path), (c) => {
      c.get('exchange').route = path;
      const detail = `${path} takes ${all.join(', ')}.`;
      return problem(c, failure('method_not_allowed', detail), { Allow: all.join(', ') });
    });
  }
}

/** The value of a path parameter; the router only matches when it is there. */
export function pathParameter(c: GatewayContext, name: string): string {
  return c.req.param(name) ?? '';
}

function routerPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/gu, ':$1');
}
