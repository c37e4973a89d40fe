/**
 * Replays a Dockerfile in folders, where there is no container engine: every stage is a folder, its COPY
 * and RUN instructions do there what they would do in the image, and what each layer adds is measured.
 * What a folder cannot give is told: base images are empty, and packages of the system are only looked up.
 * Nothing here knows the file's contents, so that what is replayed is what is shipped.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const runMsMax = 10 * 60_000;
const outputBytesMax = 64 * 1024 * 1024;

/** Instructions of a Dockerfile in order, as `{ name, text }`, with continued lines joined. */
function parseDockerfile(text) {
  const joined = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n/gu, ' ');
  return joined
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [, name, rest] = /^(\w+)\s+(.*)$/u.exec(line) ?? [];
      if (name === undefined) throw new Error(`not a Dockerfile instruction: ${line}`);
      return { name: name.toUpperCase(), text: rest };
    });
}

/**
 * Builds stages below `folder` from the files of `context`: returns a function that takes the name of a
 * stage, builds it with those it needs, each once, and returns `{ root, workdir, env, command, user, base,
 * layers }`: where its files lie, how it would be started, and its layers as `{ instruction, paths }`. `paths`
 * are the files that it adds; null for packages of the system, and empty for other commands, whose changes
 * are not followed: the images that are shipped have none.
 */
export function replayDockerfile({ text, context, folder }) {
  const stages = splitStages(parseDockerfile(text));
  const built = new Map();
  const build = (name) => {
    const stage = stages.find((one) => one.name === name);
    if (stage === undefined) return { base: name, root: undefined };
    if (!built.has(name)) built.set(name, buildStage({ stage, build, context, folder }));
    return built.get(name);
  };
  return (target) => {
    const stage = build(target);
    if (stage.root === undefined) throw new Error(`no stage "${target}" in the Dockerfile`);
    return stage;
  };
}

function splitStages(instructions) {
  const globals = {};
  const stages = [];
  for (const { name, text } of instructions) {
    if (name === 'FROM') {
      const [, from, , as] = /^(\S+)(\s+AS\s+(\S+))?$/iu.exec(text) ?? [];
      if (from === undefined) throw new Error(`FROM ${text} cannot be replayed`);
      stages.push({ name: as ?? '', from: expand(from, globals), instructions: [] });
    } else if (stages.length > 0) stages.at(-1).instructions.push({ name, text });
    else if (name === 'ARG') Object.assign(globals, assignments(text));
    else throw new Error(`${name} before FROM cannot be replayed`);
  }
  return stages;
}

function buildStage({ stage, build, context, folder }) {
  const parent = build(stage.from);
  const root = join(folder, stage.name);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  if (parent.root !== undefined) copy(parent.root, root);
  const state = {
    root,
    base: parent.base,
    env: { ...parent.env },
    workdir: parent.workdir ?? '/',
    command: parent.command,
    user: parent.user,
    layers: [...(parent.layers ?? [])],
  };
  for (const instruction of stage.instructions) {
    const act = actions[instruction.name];
    if (act === undefined) throw new Error(`${instruction.name} cannot be replayed`);
    act({ state, text: instruction.text, build, context });
  }
  return state;
}

const actions = {
  ENV: ({ state, text }) => void Object.assign(state.env, assignments(text)),
  ARG: ({ state, text }) => void Object.assign(state.env, assignments(text)),
  WORKDIR({ state, text }) {
    state.workdir = text;
    mkdirSync(join(state.root, text), { recursive: true });
  },
  USER: ({ state, text }) => void (state.user = text),
  CMD: ({ state, text }) => void (state.command = JSON.parse(text)),
  EXPOSE: () => undefined,
  STOPSIGNAL: () => undefined,
  COPY({ state, text, build, context }) {
    const words = text.split(/\s+/u);
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
    const paths = words.filter((word) => !word.startsWith('--'));
    const to = paths.pop();
    const origin = from === undefined ? context : build(from).root;
    if (origin === undefined) throw new Error(`COPY from the image ${from} cannot be replayed`);
    for (const path of paths) {
      const source = join(origin, path);
      const into = join(state.root, to.startsWith('/') ? to : join(state.workdir, to));
      // As Docker does: a folder gives its contents, a file its name where the target is a folder.
      const isIntoFolder = to.endsWith('/') && !statSync(source).isDirectory();
      copy(source, isIntoFolder ? join(into, basename(source)) : into);
    }
    state.layers.push({
      instruction: `COPY ${text}`,
      paths: paths.map((path) => join(origin, path)),
    });
  },
  RUN({ state, text }) {
    const command = text.replaceAll(/--mount=\S+\s+/gu, '');
    if (/\bapt-get install\b/u.test(command)) {
      const packages = [
        .../apt-get install ([^&]*)/u.exec(command)[1].matchAll(/\s([a-z][\w.+-]*)/gu),
      ];
      const names = packages.map(([, name]) => name);
      const instruction = `RUN apt-get install ${names.join(' ')}`;
      state.layers.push({ instruction, paths: null });
      return;
    }
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...state.env };
    for (const name of ['npm_config_registry', 'npm_config_userconfig', 'npm_config_cache']) {
      if (process.env[name] !== undefined) env[name] = process.env[name];
    }
    const ended = spawnSync('sh', ['-ec', inRoot(command, state.root)], {
      cwd: join(state.root, state.workdir),
      env,
      encoding: 'utf8',
      timeout: runMsMax,
      maxBuffer: outputBytesMax,
    });
    if (ended.status !== 0) {
      const output = `${ended.error?.message ?? ''}${ended.stdout}${ended.stderr}`.slice(-4_000);
      throw new Error(`RUN ${command} ended with ${ended.status ?? ended.signal}:\n${output}`);
    }
    state.layers.push({ instruction: `RUN ${command}`, paths: [] });
  },
};

/** Absolute paths of the image, where they begin a word, become paths below the folder of the stage. */
function inRoot(command, root) {
  return command.replaceAll(/(?<=^|\s)\/(?=\w)/gu, `${root}/`);
}

function assignments(text) {
  const found = text.matchAll(/(\w+)=("[^"]*"|\S*)/gu);
  return Object.fromEntries([...found].map(([, name, value]) => [name, value.replaceAll('"', '')]));
}

function expand(text, values) {
  return text.replaceAll(/\$\{(\w+)\}/gu, (_, name) => values[name] ?? '');
}

function copy(source, to) {
  if (!existsSync(source)) throw new Error(`COPY ${source}: there is no such path`);
  mkdirSync(statSync(source).isDirectory() ? to : dirname(to), { recursive: true });
  cpSync(source, to, { recursive: true, verbatimSymlinks: true, force: true });
}
