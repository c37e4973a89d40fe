/**
 * What each k6 script is run against when it is given no server: models, settings, workers, and how hard it asks. And
 * for each a system that breaks what the script looks at, on which its thresholds must fail: a threshold that
 * cannot fail proves nothing.
 */
import { repositoryPath } from '@inferry/testkit';
import type { ServedModel } from '../served.ts';

/** A system, and what the script is told about it. */
export interface Target {
  readonly models: readonly ServedModel[];
  readonly workers: number;
  /** Settings of gateway and workers. */
  readonly env: Readonly<Record<string, string>>;
  /** Variables of the script; those of the command line win. */
  readonly script: Readonly<Record<string, string>>;
}

export interface Plan {
  /** DURATION where all scripts are run one after the other. */
  readonly shortly: string;
  readonly sound: Target;
  readonly broken: Target;
}

/** A model that sleeps: `runMs` and `rowMs` for each row of a batch of at most `rowsMax`. */
function sleeper(runMs: number, rowMs: number, rowsMax: number, more = ''): ServedModel {
  const yaml = `backend: simulated
max_batch_size: ${rowsMax}
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: ${runMs}, row_ms: ${rowMs}${more === '' ? '' : `, ${more}`}}
`;
  return { name: 'sleeper', yaml };
}

function withAdmission(model: ServedModel, admission: string): ServedModel {
  return 'yaml' in model ? { ...model, yaml: model.yaml + admission } : model;
}

function target(models: readonly ServedModel[], more: Partial<Target> = {}): Target {
  const script = { MODEL: 'sleeper', ...more.script };
  return { workers: 2, env: {}, ...more, models, script };
}

const demo: readonly ServedModel[] = ['iris', 'digits'].map((name) => ({
  name,
  folder: repositoryPath('models', name),
}));

/** Two workers do 800 rows a second of it. */
const quick = sleeper(20, 0, 8);
/** Two workers do 4 a second of it. */
const tooSlow = sleeper(500, 0, 1);
/** Two workers do 80 rows a second of it. */
const middling = sleeper(100, 0, 4);
/** Two workers do 32 rows a second of it, in batches of 500 ms. */
const detector = sleeper(60, 55, 8);
const budgeted = withAdmission(
  detector,
  'latency_target_ms: 600\nadmission: {mode: target, budget_ms: 1500}\n',
);
const patient = withAdmission(detector, 'latency_target_ms: 600\nadmission: {mode: depth}\n');
const tenants = { INFERRY_TENANTS: 'quiet,noisy' };

export const plans: Readonly<Record<string, Plan>> = {
  smoke: {
    shortly: '10s',
    sound: target(demo),
    // Nobody works: the one job that may wait does so in vain, the others are refused.
    broken: target(demo, {
      workers: 0,
      env: { INFERRY_QUEUE_DEPTH: '1' },
      script: { TIMEOUT_S: '5' },
    }),
  },
  steady: {
    shortly: '20s',
    sound: target([quick]),
    broken: target([tooSlow], { script: { RATE: '10' } }),
  },
  ramp: {
    shortly: '30s',
    sound: target([quick]),
    broken: target([tooSlow], { script: { RATE: '10' } }),
  },
  spike: {
    shortly: '40s',
    sound: target([middling]),
    // The line is too short for the burst.
    broken: target([middling], { env: { INFERRY_QUEUE_DEPTH: '50' } }),
  },
  soak: {
    shortly: '90s',
    sound: target([quick]),
    broken: target([tooSlow], { script: { RATE: '10' } }),
  },
  fairness: {
    shortly: '30s',
    sound: target([budgeted], { env: tenants }),
    // One line for all: whose a request is means nothing.
    broken: target([budgeted]),
  },
  async: {
    shortly: '20s',
    sound: target([sleeper(200, 0, 4)]),
    // The model throws on what it is sent.
    broken: target([sleeper(200, 0, 4, 'fail_on: 0')]),
  },
  shed: {
    shortly: '20s',
    sound: target([budgeted]),
    // Nothing is refused before the queue is full.
    broken: target([patient]),
  },
};
