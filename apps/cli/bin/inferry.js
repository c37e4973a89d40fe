#!/usr/bin/env node
/**
 * The `inferry` command. In a checkout it runs the TypeScript sources, so that it works before any build;
 * where there are no sources, or with INFERRY_DIST=1, it runs what `npm run build` made. In this process,
 * not in a child: signals and the exit code are its own.
 */
import { existsSync } from 'node:fs';
import { register } from 'node:module';

const source = new URL('../src/main.ts', import.meta.url);
if (existsSync(source) && process.env.INFERRY_DIST !== '1') {
  const tsx = await import('tsx/esm/api');
  tsx.register();
  // The same as --conditions=@inferry/source, which cannot be given from a first line.
  const hook = `export const resolve = (specifier, context, next) =>
    next(specifier, { ...context, conditions: ['@inferry/source', ...context.conditions] });`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
  await import(source.href);
} else {
  await import('../dist/main.js');
}
