/** The commands that exist, with everything their help texts say beside the table of settings. */
import { benchFlags } from './bench/flags.ts';
import { optimizeFlags } from './optimize/flags.ts';
import { pullFlags } from './pull/flags.ts';
import { autoscaleFlags, scaleAdviceFlags } from './scale/flags.ts';
import { type Role, type Setting, type SettingName, settings, settingsOf } from './settings.ts';
import { tuneFlags } from './tune/flags.ts';

interface Option {
  /** Without the dashes. */
  readonly flag: string;
  /** Null for a flag that takes no value. */
  readonly placeholder: string | null;
  /** It may be given more than once, and each value counts. */
  readonly isRepeatable?: boolean;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** Names of the arguments; all of them are required except in brackets. */
  readonly operands: readonly string[];
  readonly summary: string;
  readonly details: readonly string[];
  /** A long-running role takes every setting of that role as a flag. */
  readonly role: Role | null;
  /** Settings of that role that it does not take. */
  readonly without?: readonly SettingName[];
  /** Flags beside the settings. */
  readonly options: readonly Option[];
  readonly examples: readonly string[];
}

const modelsFlag = { flag: 'models', placeholder: 'DIR', help: 'The repository. Default: models.' };
const jsonFlag = { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' };

export const commands = [
  {
    name: 'serve',
    operands: ['[DIR]'],
    summary: 'Gateway and worker in one process.',
    details: [
      'Loads and warms every model of the repository DIR, then accepts requests.',
      'Without REDIS_URL jobs are queued in memory and do not survive a restart.',
      'SIGTERM or Ctrl-C drains: no new jobs, what was begun is finished. A second one ends at once.',
    ],
    role: 'serve',
    options: [],
    examples: [
      'inferry serve models',
      'PORT=9000 inferry serve models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry serve models --only iris',
    ],
  },
  {
    name: 'gateway',
    operands: [],
    summary: 'The HTTP side alone: accepts jobs and answers them from the queue in Redis.',
    details: [
      'Accepts jobs for the models of the repository, also while no worker lives.',
      'Run as many as needed; they share nothing but Redis. SIGTERM drains.',
    ],
    role: 'gateway',
    options: [],
    examples: ['REDIS_URL=redis://127.0.0.1:6379 inferry gateway --models models'],
  },
  {
    name: 'worker',
    operands: [],
    summary: 'The inference side alone: claims batches from Redis and runs them.',
    details: [
      'Run as many as needed, one for each device. SIGTERM stops claiming and finishes what was claimed.',
    ],
    role: 'worker',
    options: [],
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry worker --models models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry worker --models models --only iris,digits --device cuda:0',
    ],
  },
  {
    name: 'autoscale',
    operands: [],
    summary: 'Workers on this machine, as many as the queue needs.',
    details: [
      'Looks at the queue every second, and starts or drains workers with the settings below, each supervised',
      'as "inferry worker" is. Starts at once, at most twice as many as there are (or two); drains the youngest',
      'after --stabilization, and the last after --cooldown. While Redis is away the number stays.',
      'SIGTERM or Ctrl-C drains all of them, a second one ends them.',
    ],
    role: 'worker',
    without: ['metricsPort', 'supervise'],
    options: autoscaleFlags,
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry autoscale --models models --max 4',
      'REDIS_URL=redis://127.0.0.1:6379 inferry autoscale --models models --only iris --min 1 --max 8 --stabilization 60',
    ],
  },
  {
    name: 'scale-advice',
    operands: [],
    summary: 'How many workers are wanted now, and why.',
    details: [
      'Prints the number that the shipped autoscaling rules come to: the larger of what the backlog needs to be',
      'worked off within --drain-target and what the load needs to keep workers --utilization busy. The number',
      'is on stdout, why is on stderr. Exits with 1 when the queue, or Prometheus, does not tell.',
    ],
    role: null,
    options: scaleAdviceFlags,
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry scale-advice --models models',
      'inferry scale-advice --prometheus http://127.0.0.1:9090 --only iris,digits --max 20 --json',
    ],
  },
  {
    name: 'models doctor',
    operands: ['DIR'],
    summary: 'Says what a repository would serve and how, what not, and why.',
    details: [
      'For each model version: its file, inputs and outputs, batches, instances and what it is served without;',
      'for what is not served the reason, with file and line. Reads model.yaml and the config.pbtxt of Triton.',
      'Exits 2 when something is not served. Loads no model.',
    ],
    role: null,
    options: [{ flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' }],
    examples: ['inferry models doctor models', 'inferry models doctor models --json'],
  },
  {
    name: 'models pull',
    operands: ['SOURCE'],
    summary: 'Fetches a model into a repository, checked, and all of it or nothing.',
    details: [
      'SOURCE is a URL (https or http) or a path: one .onnx file, an archive (.tar, .tar.gz, .tgz) or, as a path,',
      'a directory. A URL that breaks off is gone on with, also by the next call. The model must be one that',
      'would be served, and lands beside the others by a rename; the digest of a model is not its SHA-256 here.',
      'Gateways and workers see it at their next start. Exits with 1 when nothing has changed.',
    ],
    role: null,
    options: pullFlags,
    examples: [
      'inferry models pull https://models.example/resnet50.tar.gz --sha256 9f86d0...0a08',
      'inferry models pull /mnt/export/resnet50.onnx --version 2 --models /srv/models',
      'inferry models pull file:///srv/triton-models --name densenet --replace --json',
    ],
  },
  {
    name: 'models list',
    operands: [],
    summary: 'Lists the versions that a repository serves.',
    details: [
      'For each its name, version, what describes it (model.yaml, config.pbtxt or nothing), the bytes in its',
      'folder and its digest. What is not served is told on stderr, and then the command exits with 2.',
    ],
    role: null,
    options: [modelsFlag, jsonFlag],
    examples: ['inferry models list', 'inferry models list --models /srv/models --json'],
  },
  {
    name: 'models show',
    operands: ['MODEL'],
    summary: 'Tells one model in full: inputs, outputs, batches, size, digest.',
    details: ['MODEL is a name, for all of its versions, or name@version.'],
    role: null,
    options: [modelsFlag, jsonFlag],
    examples: ['inferry models show digits', 'inferry models show digits@1 --models models --json'],
  },
  {
    name: 'models rm',
    operands: ['MODEL'],
    summary: 'Removes a model, or one of its versions, from a repository.',
    details: [
      'MODEL is a name or name@version. It is moved away in one step before it is deleted. Gateways and workers',
      'that run keep what they have. Without --yes it only says what would go, and exits with 1.',
    ],
    role: null,
    options: [
      modelsFlag,
      { flag: 'yes', placeholder: null, help: 'Removes it; there is no way back.' },
      jsonFlag,
    ],
    examples: [
      'inferry models rm digits@1 --yes',
      'inferry models rm old --models /srv/models --yes',
    ],
  },
  {
    name: 'models optimize',
    operands: ['DIR/MODEL'],
    summary: 'Makes faster or smaller variants of a model, and says what they cost in accuracy.',
    details: [
      "Each variant answers the samples beside the original, through the model's own pipeline: the report has",
      'the differences of every output, how often the answers agree, size and speed. One that agrees too',
      'seldom is not kept, and the command exits with 1. The original is only read; nothing that is made is',
      'served unless you move it.',
    ],
    role: null,
    options: optimizeFlags,
    examples: [
      'inferry models optimize models/digits --samples models/digits/samples',
      'inferry models optimize models/digits --to fp16 --to int8-static --samples photos --install',
      'inferry models optimize models/digits@1 --to int8 --samples photos --min-agreement 0.95 --json',
    ],
  },
  {
    name: 'tune',
    operands: ['MODEL'],
    summary: 'Finds batch size, instances and threads for a latency target, by measuring.',
    details: [
      'Measures every division of the cores into instances and threads, each in a process of its own: what',
      'batches of 1, 2, 4, ... rows take while all instances run. Prints the settings compared, the curve of',
      'the best one, and why it is the best. MODEL is a name or name@version; stop other work meanwhile.',
      'Exits 1 when no setting keeps the target.',
    ],
    role: null,
    options: tuneFlags,
    examples: [
      'inferry tune digits --input models/digits/samples --latency-target 50',
      'inferry tune digits --input models/digits/samples --latency-target 50 --write',
      'inferry tune resnet --models /srv/models --device cuda:0 --max-seconds 300 --json',
    ],
  },
  {
    name: 'bench',
    operands: ['MODEL'],
    summary: 'Puts load on a model of a running server and measures it.',
    details: [
      'Each load is warmed up and then measured in windows until throughput and latency of three in a row',
      'agree; these are reported: throughput, latencies, how requests ended, and where their time went.',
      'MODEL may be name@version. It loads whatever --url names: that is for its owner to decide.',
      'Exits with 1 when requests failed, 130 after Ctrl-C, which reports what was measured so far.',
    ],
    role: null,
    options: benchFlags,
    examples: [
      'inferry bench iris --concurrency 1,2,4,8',
      'inferry bench digits --input models/digits/samples --request-rate 50,100 --json report.json',
      'inferry bench resnet --api v2 --shape input:8,3,224,224 --url http://gpu-1:8000 --csv -',
    ],
  },
  {
    name: 'doctor',
    operands: ['[DIR]'],
    summary: 'Says whether Inferry would work here with these settings, and what to do when not.',
    details: [
      'Give it the environment and the flags of the process that is to run. It checks Node.js, ONNX Runtime',
      'and the provider of the device, the model repository DIR, Redis (version, eviction, persistence, memory,',
      'a real write, clocks) and the ports. Changes nothing. Exits with 1 when something is bad.',
    ],
    role: 'serve',
    options: [{ flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' }],
    examples: [
      'inferry doctor models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry doctor models --device cuda:0',
      'inferry doctor --redis-url redis://queue:6379 --json',
    ],
  },
  {
    name: 'setup cuda',
    operands: [],
    summary: 'Fetches and checks the files that CUDA and TensorRT need.',
    details: [
      'Only machines with an NVIDIA GPU need them. Each file is checked against its SHA-256.',
    ],
    role: null,
    options: [],
    examples: ['inferry setup cuda'],
  },
  {
    name: 'version',
    operands: [],
    summary: 'Prints the version.',
    details: [],
    role: null,
    options: [],
    examples: ['inferry version'],
  },
  {
    name: 'help',
    operands: ['[COMMAND]'],
    summary: 'Prints this, or what a command takes.',
    details: [],
    role: null,
    options: [],
    examples: ['inferry help serve'],
  },
] as const satisfies readonly Command[];

export type CommandName = (typeof commands)[number]['name'];

/** The settings that a command takes, as flags and from the environment. */
export function settingsTaken({ role, without = [] }: Command): readonly Setting<unknown>[] {
  if (role === null) return [];
  const left: readonly Setting<unknown>[] = without.map((name) => settings[name]);
  return settingsOf(role).filter((setting) => !left.includes(setting));
}
