/** The end of every script: its verdict in words, and all figures as JSON where OUT names a file. */

/** Raised when a member changes its meaning. */
const schema = 2;

/** `options` are the numbers that this run was given or took by default. */
export function summarize(script, options, data) {
  const failed = [];
  for (const [name, metric] of Object.entries(data.metrics)) {
    for (const [threshold, { ok }] of Object.entries(metric.thresholds || {})) {
      if (!ok) failed.push(`${name}: ${threshold}`);
    }
  }
  const summary = {
    schema,
    script,
    git_sha: __ENV.GIT_SHA || null,
    started_at: new Date(Date.now() - data.state.testRunDurationMs).toISOString(),
    options,
    passed: failed.length === 0,
    failed,
    metrics: data.metrics,
  };
  const shown = Object.entries(data.metrics)
    .filter(([name]) => /^(inferry_|dropped_iterations|checks|http_reqs)/.test(name))
    .map(([name, { values }]) => `${name}  ${wordsOf(values)}`);
  const verdict = failed.length === 0 ? 'all thresholds held' : `FAILED ${failed.join('; ')}`;
  const outputs = { stdout: `${shown.join('\n')}\n${script}: ${verdict}\n` };
  if (__ENV.OUT) outputs[__ENV.OUT] = JSON.stringify(summary, null, 1);
  return outputs;
}

function wordsOf(values) {
  return Object.entries(values)
    .filter(([name]) => !['avg', 'min', 'p(90)'].includes(name))
    .map(([name, value]) => `${name}=${Math.round(value * 1000) / 1000}`)
    .join(' ');
}
