/**
 * Container health check: `node healthcheck.js URL` ends with status 0 when URL answers 2xx within 2 s.
 * The images have no curl.
 */
const url = process.argv[2] ?? 'http://127.0.0.1:9464/readyz';
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) {
    console.error(`${url} answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
  }
  process.exitCode = response.ok ? 0 : 1;
} catch (cause) {
  console.error(`${url} cannot be reached: ${cause.message}`);
  process.exitCode = 1;
}
