/**
 * Pages for people: a start page, and the API page. Everything they load comes from this server, and
 * their content security policy allows nothing else.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { failure } from '@inferry/contracts';
import { openApiDocument } from '@inferry/protocols';

import type { GatewayParts } from '../deps.ts';
import { answer, type GatewayContext, problem } from '../http/exchange.ts';
import { pathParameter, type Route } from './routes.ts';

const require = createRequire(import.meta.url);

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  // The API page sets styles on its elements.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Files of the API page: their name in the package that ships them, and their type. */
const packageFiles: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};
/** Starts the API page; a file of its own, because the policy allows no script inside a page. */
const startScript = `window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
`;

const startPage = page(
  'Inferry',
  `<h1>Inferry</h1>
<p>This server queues inference requests and runs them in batches.</p>
<ul>
<li><a href="/docs">API page</a>: every route, to read and to try</li>
<li><a href="/openapi.json">OpenAPI document</a></li>
<li><a href="/v1/models">Models</a></li>
<li><a href="/readyz">Readiness</a></li>
</ul>`,
);

const docsPage = page(
  'Inferry API',
  '<div id="swagger-ui"></div>',
  `<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<script defer src="/docs/assets/swagger-ui-bundle.js"></script>
<script defer src="/docs/assets/start.js"></script>`,
);

export function pageRoutes(parts: GatewayParts): readonly Route[] {
  const files = new AssetFiles();
  return [
    { method: 'GET', path: '/', answer: (c) => html(c, startPage) },
    { method: 'GET', path: '/docs', answer: (c) => html(c, docsPage) },
    { method: 'GET', path: '/docs/assets/{file}', answer: (c) => asset(c, files) },
    { method: 'GET', path: '/openapi.json', answer: (c) => openApi(c, parts) },
  ];
}

/** Made anew for each request: its examples are those of the models served at the moment. */
function openApi(c: GatewayContext, { catalogue, compat, version }: GatewayParts): Response {
  const models = catalogue
    .list()
    .flatMap(({ versions, defaultVersion }) =>
      versions.filter((one) => one.version === defaultVersion).map(({ manifest }) => manifest),
    );
  const body = JSON.stringify(openApiDocument({ version, models, compat }));
  return answer(c, { status: 200, body, headers: { 'Content-Type': 'application/json' } });
}

async function asset(c: GatewayContext, files: AssetFiles): Promise<Response> {
  const name = pathParameter(c, 'file');
  const file = await files.read(name);
  if (file === undefined) {
    return problem(c, failure('route_not_found', `There is no file "${name.slice(0, 64)}".`));
  }
  const headers = { 'Content-Type': file.type, 'Cache-Control': 'public, max-age=3600' };
  return answer(c, { status: 200, body: file.body, headers });
}

interface AssetFile {
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Read once, on first use. Only the names listed above exist, so no path is ever made of a request. */
class AssetFiles {
  readonly #read = new Map<string, Promise<AssetFile>>();

  read(name: string): Promise<AssetFile | undefined> {
    const type = Object.hasOwn(packageFiles, name) ? packageFiles[name] : undefined;
    if (name === 'start.js') {
      return Promise.resolve({ type: 'text/javascript; charset=utf-8', body: startScript });
    }
    if (type === undefined) return Promise.resolve(undefined);
    const known = this.#read.get(name);
    if (known !== undefined) return known;
    const folder = dirname(require.resolve('swagger-ui-dist/package.json'));
    const file = readFile(join(folder, name)).then((body) => ({ type, body }));
    this.#read.set(name, file);
    return file;
  }
}

function html(c: GatewayContext, body: string): Response {
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': contentSecurityPolicy,
    'Referrer-Policy': 'no-referrer',
  };
  return answer(c, { status: 200, body, headers });
}

function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${head}
</head>
<body>
${body}
</body>
</html>
`;
}
