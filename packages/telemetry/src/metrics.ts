/**
 * The registry of one process, behind a typed facade made from the catalogue: an unknown metric, a
 * missing label or a misspelt stage does not compile. The only file that knows the metrics library.
 *
 * Series whose labels are known exist at 0 before anything happens, so that a rate over them is 0 and
 * not absent, and the first event is not lost.
 */
import { type Clock, systemClock } from '@inferry/runtime';
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  prometheusContentType,
  openMetricsContentType,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import { type Catalogue, catalogue, metricPrefix } from './catalogue.ts';
import { type ForeignFamily, writeFamilies } from './foreign-families.ts';
import type { LabelValues, MetricRole, MetricSpec } from './metric-spec.ts';

type LabelValue<Values> = Values extends readonly (infer Known)[] ? Known : string;
type Labels<Spec extends MetricSpec> = {
  readonly [Name in keyof Spec['labels']]: LabelValue<Spec['labels'][Name]>;
};

/** Adds `by` (1 by default, never negative). */
export type CounterOf<L> = { readonly add: (labels: L, by?: number) => void };
export type GaugeOf<L> = {
  readonly set: (labels: L, value: number) => void;
  /** Changes the value by `by`, which may be negative. */
  readonly add: (labels: L, by: number) => void;
  /** The series is not exported until it is set again: nobody knows its value. */
  readonly remove: (labels: L) => void;
};
/**
 * Observes a value in the unit the metric's name ends with. `traceId`, 32 hexadecimal digits (anything else is
 * left out), is told as the exemplar of its bucket, where the format has exemplars: one a bucket, the last.
 */
export type HistogramOf<L> = {
  readonly observe: (labels: L, value: number, traceId?: string) => void;
};

type InstrumentOf<Spec extends MetricSpec> = Spec['type'] extends 'counter'
  ? CounterOf<Labels<Spec>>
  : Spec['type'] extends 'gauge'
    ? GaugeOf<Labels<Spec>>
    : HistogramOf<Labels<Spec>>;

type KeysOf<Role extends MetricRole> = {
  [Key in keyof Catalogue]: Role & Catalogue[Key]['roles'][number] extends never ? never : Key;
}[keyof Catalogue];

export interface MetricsRegistry {
  readonly contentType: string;
  /** The exposition text, after every collector ran. Never rejects because of a collector. */
  text(): Promise<string>;
  /**
   * Creates the series of a model at 0. Call it once the model is known and before its first
   * observation; further calls for the same model do nothing.
   */
  declareModel(model: string, queue: string): void;
  /** Removes all series of a class: versions come and go for as long as a process lives. */
  forgetQueue(queue: string): void;
}

/** Only a gateway exports what it reads and does not count: the state of the queue. */
interface Collecting {
  /**
   * Runs `collect` before each exposition, to set gauges that are read rather than counted. One that
   * throws, rejects or takes longer than a second is counted, and the scrape goes on without it.
   */
  onCollect(collect: () => void | Promise<void>): void;
  /**
   * Writes what `read` gives behind the catalogue's metrics, with each exposition. Where it rejects or takes
   * longer than a second that is counted as for a collector, and these metrics are left out.
   */
  addForeign(read: () => Promise<readonly ForeignFamily[]>): void;
}

/** Instruments of a role, by their key in the catalogue, e.g. `metrics.stageDuration.observe(...)`. */
export type Metrics<Role extends MetricRole> = MetricsRegistry & {
  readonly [Key in KeysOf<Role>]: InstrumentOf<Catalogue[Key]>;
};
export type GatewayMetrics = Metrics<'gateway'> & Collecting;
export type WorkerMetrics = Metrics<'worker'>;
/** Of a process that is both: fits wherever either is asked for. */
export type AllMetrics = GatewayMetrics & WorkerMetrics;

interface MetricsByRole {
  readonly gateway: GatewayMetrics;
  readonly worker: WorkerMetrics;
  readonly all: AllMetrics;
}

export interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  /** Version of ONNX Runtime where models are run, otherwise `none`. */
  readonly onnxruntime: string;
}

const collectMsMax = 1_000;
const openMetricsEnd = '# EOF\n';
/** Few, as every pause is observed on the main thread. */
const gcBuckets = [0.001, 0.01, 0.1, 1];

/**
 * How an exposition is written: the text format 0.0.4 of Prometheus, or OpenMetrics 1.0, which has exemplars.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
export const metricsFormats = ['prometheus', 'openmetrics'] as const;
export type MetricsFormat = (typeof metricsFormats)[number];

/**
 * Registers the role's part of the catalogue, and the library's own process and Node.js metrics. The format is
 * for good: a registry that had written OpenMetrics would leave `_total` out of later text.
 */
export function createMetrics<Role extends keyof MetricsByRole>(
  role: Role,
  build: BuildInfo,
  clock: Clock = systemClock,
  format: MetricsFormat = 'prometheus',
): MetricsByRole[Role] {
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(
    format === 'openmetrics' ? openMetricsContentType : prometheusContentType,
  );
  const registered: Registered[] = [];
  const instruments: Record<string, Instrument> = {};
  for (const [key, spec] of Object.entries(catalogue) as [string, MetricSpec][]) {
    if (role !== 'all' && !spec.roles.some((name) => name === role)) continue;
    const metric = register(registry, spec, format);
    registered.push(metric);
    instruments[key] = metric.instrument;
  }
  collectDefaultMetrics({ register: registry, gcDurationBuckets: gcBuckets });
  for (const metric of registered) metric.createKnown({ start: true });

  const all = instruments as unknown as AllMetrics;
  all.build.set({ ...build, node: process.version }, 1);
  const collectors: (() => void | Promise<void>)[] = [];
  const declaredModels = new Set<string>();
  const declaredQueues = new Set<string>();
  /** By who reads them, so that one who comes late does not tell them twice. */
  const foreign = new Map<object, string>();
  let collecting: Promise<void> | undefined;
  const collectAll = async (): Promise<void> => {
    if (collectors.length === 0) return;
    foreign.clear();
    const startMs = clock.nowMs();
    const results = await Promise.allSettled(
      collectors.map((collect) => withinMs(clock, collectMsMax, collect)),
    );
    const failures = results.filter((result) => result.status === 'rejected').length;
    if (failures > 0) all.queueCollectErrors.add({}, failures);
    all.queueCollectDuration.set({}, (clock.nowMs() - startMs) / 1_000);
  };
  const own: MetricsRegistry & Collecting = {
    contentType: registry.contentType,
    onCollect: (collect) => void collectors.push(collect),
    addForeign(read) {
      collectors.push(async () => {
        foreign.set(read, writeFamilies(await read(), format));
      });
    },
    declareModel(model, queue) {
      // A second version of a model shares its series, which must not be set back to 0.
      const isNew = { model: !declaredModels.has(model), queue: !declaredQueues.has(queue) };
      declaredModels.add(model);
      declaredQueues.add(queue);
      for (const metric of registered) {
        if (isNew.model) metric.createKnown({ model });
        if (isNew.queue) metric.createKnown({ queue });
      }
    },
    forgetQueue(queue) {
      if (!declaredQueues.delete(queue)) return;
      for (const metric of registered) metric.removeKnown({ queue });
    },
    async text() {
      // Scrapes at the same moment share one round of collectors.
      collecting ??= collectAll().finally(() => {
        collecting = undefined;
      });
      await collecting;
      const written = [...foreign.values()].join('');
      const text = await registry.metrics();
      // OpenMetrics ends with this line.
      const end = text.endsWith(openMetricsEnd) ? openMetricsEnd : '';
      return text.slice(0, text.length - end.length) + written + end;
    },
  };
  return { ...instruments, ...own } as unknown as MetricsByRole[Role];
}

type Instrument = CounterOf<LabelSet> | GaugeOf<LabelSet> | HistogramOf<LabelSet>;
type LabelSet = Record<string, string>;

interface Registered {
  readonly instrument: Instrument;
  /** Creates at 0 the series that the given label makes known. */
  createKnown(given: GivenLabel): void;
  /** Removes them, whatever they are by now. */
  removeKnown(given: GivenLabel): void;
}

function register(
  registry: Registry<RegistryContentType>,
  spec: MetricSpec,
  format: MetricsFormat,
): Registered {
  const options = {
    name: metricPrefix + spec.name,
    help: spec.help,
    labelNames: Object.keys(spec.labels),
    registers: [registry],
  };
  const known = (given: GivenLabel): LabelSet[] => knownLabelSets(spec, given);
  switch (spec.type) {
    case 'counter': {
      const counter = new Counter(options);
      return {
        instrument: { add: (labels: LabelSet, by?: number) => counter.inc(labels, by) },
        createKnown: (given) => known(given).forEach((labels) => counter.inc(labels, 0)),
        removeKnown: (given) => known(given).forEach((labels) => counter.remove(labels)),
      };
    }
    case 'gauge': {
      const gauge = new Gauge(options);
      return {
        instrument: {
          set: (labels: LabelSet, value: number) => gauge.set(labels, value),
          add: (labels: LabelSet, by: number) => gauge.inc(labels, by),
          remove: (labels: LabelSet) => gauge.remove(labels),
        },
        // How a queue stands is not known before it was looked at.
        createKnown: (given) => {
          if (!('queue' in given)) known(given).forEach((labels) => gauge.inc(labels, 0));
        },
        removeKnown: (given) => known(given).forEach((labels) => gauge.remove(labels)),
      };
    }
    case 'histogram': {
      const enableExemplars = format === 'openmetrics';
      const histogram = new Histogram({ ...options, buckets: [...spec.buckets], enableExemplars });
      const observe = enableExemplars
        ? (labels: LabelSet, value: number, traceId?: string) =>
            histogram.observe({ labels, value, exemplarLabels: exemplarOf(traceId) })
        : (labels: LabelSet, value: number) => histogram.observe(labels, value);
      return {
        instrument: { observe },
        createKnown: (given) => known(given).forEach((labels) => histogram.zero(labels)),
        removeKnown: (given) => known(given).forEach((labels) => histogram.remove(labels)),
      };
    }
  }
}

const noExemplar = {};
const traceIdPattern = /^[0-9a-f]{32}$/u;

/** The library throws over what is too long for an exemplar, after it has counted the value. */
function exemplarOf(traceId: string | undefined): Partial<Record<string, string>> {
  if (traceId === undefined || !traceIdPattern.test(traceId)) return noExemplar;
  return { trace_id: traceId };
}

/** The label whose value has become known: none at start, then those of a model. */
type GivenLabel =
  | { readonly model: string }
  | { readonly queue: string }
  | { readonly start: true };

/**
 * Every combination of known label values. Empty when a label is open, and empty unless the metric
 * has the given label (or, at start, has neither `model` nor `queue`).
 */
function knownLabelSets(spec: MetricSpec, given: GivenLabel): LabelSet[] {
  const labels = Object.entries(spec.labels);
  const wanted = 'model' in given ? 'model' : 'queue' in given ? 'queue' : undefined;
  const needed = labels.map(([, values]) => values).filter((v) => v === 'model' || v === 'queue');
  if (needed.length > 1 || needed[0] !== wanted) return [];
  let sets: LabelSet[] = [{}];
  for (const [name, values] of labels) {
    const list = valuesOf(values, given);
    sets = sets.flatMap((set) => list.map((value) => ({ ...set, [name]: value })));
  }
  return sets.filter((set) => isPossible(set));
}

function valuesOf(values: LabelValues, given: GivenLabel): readonly string[] {
  if (values === 'open') return [];
  if (values === 'model') return 'model' in given ? [given.model] : [];
  if (values === 'queue') return 'queue' in given ? [given.queue] : [];
  return values;
}

/** Accepted work has no reason, refused work always has one: the other pairs would stay 0 for ever. */
function isPossible(set: LabelSet): boolean {
  if (set['decision'] === undefined) return true;
  return (set['decision'] === 'accepted') === (set['reason'] === 'none');
}

/** Rejects when `act` does, or when it takes longer than `limitMs`; its late end is then ignored. */
async function withinMs(
  clock: Clock,
  limitMs: number,
  act: () => void | Promise<void>,
): Promise<void> {
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(limitMs, () => reject(new Error(`took longer than ${limitMs} ms`)));
  });
  try {
    await Promise.race([act(), late]);
  } finally {
    cancel?.();
  }
}
