/** Starts a gateway and a worker from the files of their images, and asks them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const readyMsMax = 60_000;
const requestMsMax = 30_000;
const outputLinesMax = 200;
/** Longer than the drain time of the roles. */
const stopMsMax = 35_000;

/**
 * Throws an Error when a role does not start, is not healthy by the image's own health check, does not answer
 * a request, or does not end with status 0 after SIGTERM. `folder` is for the socket of Redis.
 */
export async function proveImages({ folder, models, gateway, worker }) {
  const socket = join(folder, 'redis.sock');
  const running = [];
  try {
    const argv = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '777', '--save', ''];
    const redis = start('redis-server', argv, { cwd: folder });
    running.push(redis);
    await redis.line(/ready to accept connections/iu);
    const env = { REDIS_URL: `unix://${socket}`, INFERRY_MODELS: models, HOST: '127.0.0.1' };
    const roles = [gateway, worker].map((stage) => startStage(stage, env));
    running.push(...roles);
    const lines = await Promise.all(roles.map((role) => role.line(/"msg":"ready"/u)));
    const [gatewayReady, workerReady] = lines.map((line) => JSON.parse(line));
    await healthy(gateway, gatewayReady.metrics_port);
    await healthy(worker, workerReady.metrics_port);
    await ask(`http://127.0.0.1:${gatewayReady.http_port}`);
    for (const role of roles) role.child.kill('SIGTERM');
    for (const role of roles) await endedWell(role);
  } finally {
    for (const { child } of running) child.kill('SIGKILL');
  }
}

/** The command of an image, as its user where this process may become it. */
function startStage(stage, env) {
  const [command, ...argv] = stage.command;
  return start(command === 'node' ? process.execPath : command, argv, {
    cwd: join(stage.root, stage.workdir),
    env: { ...stage.env, PORT: '0', GRPC_PORT: '0', METRICS_PORT: '0', ...env },
    ...identity(stage),
  });
}

function identity({ user }) {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = user.split(':').map(Number);
  return { uid, gid };
}

function start(command, argv, options) {
  const child = spawn(command, argv, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  const looks = new Set();
  let failure;
  const ended = new Promise((resolve) => {
    child.once('error', (cause) => {
      failure = cause.message;
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (text) => {
      output.push(text);
      if (output.length > outputLinesMax) output.shift();
      for (const look of looks) look(text);
    });
  }
  const name = `${command} ${argv.join(' ')}`;
  const line = (match) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(`${readyMsMax} ms passed`), readyMsMax);
      const fail = (why) => {
        clearTimeout(timer);
        reject(new Error(`${name}: ${why} before ${match}; its output:\n${output.join('\n')}`));
      };
      const look = (text) => {
        if (!match.test(text)) return;
        clearTimeout(timer);
        resolve(text);
      };
      const past = output.find((text) => match.test(text));
      if (past !== undefined) return look(past);
      looks.add(look);
      void ended.then((code) => fail(failure ?? `it ended with ${code}`));
    });
  return { name, child, ended, line, output };
}

/** Runs the health check of the image against the operators' port. */
async function healthy(stage, port) {
  const argv = ['healthcheck.js', `http://127.0.0.1:${port}/readyz`];
  const check = start(process.execPath, argv, {
    cwd: join(stage.root, stage.workdir),
    env: {},
    ...identity(stage),
  });
  const code = await check.ended;
  if (code !== 0) throw new Error(`the health check ended with ${code}: ${check.output.join(' ')}`);
}

async function ask(url) {
  const data = [5.1, 3.5, 1.4, 0.2];
  const response = await fetch(`${url}/v2/models/iris/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', data }] }),
    signal: AbortSignal.timeout(requestMsMax),
  });
  const text = await response.text();
  if (response.status !== 200 || !text.includes('"outputs"')) {
    throw new Error(`iris answered ${response.status}: ${text.slice(0, 500)}`);
  }
  const page = await fetch(`${url}/docs/assets/swagger-ui-bundle.js`);
  await page.body?.cancel();
  if (page.status !== 200) throw new Error(`the script of the API page answered ${page.status}`);
}

async function endedWell(role) {
  const giveUp = AbortSignal.timeout(stopMsMax);
  const code = await Promise.race([role.ended, once(giveUp, 'abort').then(() => 'no exit')]);
  if (code !== 0) {
    throw new Error(`${role.name} after SIGTERM: ${code}; its output:\n${role.output.join('\n')}`);
  }
}
