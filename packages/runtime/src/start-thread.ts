/** Worker threads that start from TypeScript sources in a checkout and from dist in production. */
import { Worker, type WorkerOptions } from 'node:worker_threads';

const runsFromSource = import.meta.url.endsWith('.ts');

/** The file to import for a source file: itself in a checkout, what it was compiled to in production. */
export function loadableUrl(source: URL): URL {
  return runsFromSource ? source : new URL(source.href.replace(/\.ts$/u, '.js'));
}

/**
 * Starts a worker thread. Call as `startThread(new URL('./thread.ts', import.meta.url))`.
 *
 * Node 20 does not apply module hooks given on the command line to worker threads, so a thread that
 * runs from source registers tsx itself before it imports its file. From dist the `.js` beside it runs.
 */
export function startThread(source: URL, options: WorkerOptions = {}): Worker {
  if (!runsFromSource) return new Worker(loadableUrl(source), options);
  const bootstrap = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})
    .then((tsx) => { tsx.register(); return import(${JSON.stringify(source.href)}); })`;
  return new Worker(bootstrap, {
    ...options,
    eval: true,
    execArgv: ['--conditions=@inferry/source'],
  });
}
