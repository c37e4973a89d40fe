/** What a dashboard is made of, as plain data: what it asks and what it tells, not how Grafana writes it down. */

/** Variables a query may use; each is a regular expression once Grafana has put it in. */
export type VariableName = 'model' | 'priority' | 'queue' | 'instance';

/** Units of Grafana. */
type Unit = 'short' | 's' | 'percentunit' | 'bytes' | 'reqps' | 'rowsps' | 'ops' | 'none';

export interface Query {
  readonly expr: string;
  /** Name of each series, with `{{label}}`. Tables have none: their columns are the labels. */
  readonly legend?: string;
  /** Why this may rightly return no series. Left out: it always returns some once there was traffic. */
  readonly mayBeEmpty?: string;
  /** Asked once, at the end of the range, where a series over time would be costly or say nothing. */
  readonly isInstant?: true;
  /** Show traces beside the line: of the two histograms that have exemplars. */
  readonly hasExemplars?: true;
}

export function query(
  expr: string,
  legend?: string,
  more: Omit<Query, 'expr' | 'legend'> = {},
): Query {
  return legend === undefined ? { expr, ...more } : { expr, legend, ...more };
}

/** From `value` on in `color`; what is below the first is `base`. */
export interface Thresholds {
  readonly base: Color;
  readonly steps: readonly { readonly value: number; readonly color: Color }[];
}
type Color = 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'transparent';

/** Texts for values that stand for something. */
export type ValueTexts = Readonly<Record<string, { readonly text: string; readonly color: Color }>>;

interface PanelBase {
  /** Fixed: links point at it. Unique in its board, below 1000. */
  readonly id: number;
  readonly title: string;
  /** What it tells, and when to worry. Shown as the description. */
  readonly tells: string;
  readonly unit: Unit;
  /** Of 24 columns. */
  readonly width: number;
  readonly queries: readonly Query[];
}

/** One figure. */
interface StatPanel extends PanelBase {
  readonly view: 'stat' | 'gauge';
  readonly thresholds?: Thresholds;
  readonly max?: number;
  /** Digits after the point, where what Grafana chooses would round an objective away: 99.95 % to 100 %. */
  readonly decimals?: number;
  /** As high as the panels with lines, to stand beside them. */
  readonly isTall?: true;
}

/** Series over time; thresholds are drawn as lines. `isStacked`: parts that add up. */
interface LinesPanel extends PanelBase {
  readonly view: 'lines';
  readonly isStacked?: true;
  readonly thresholds?: Thresholds;
  readonly max?: number;
}

/** Counts by bucket over time; `unit` is that of the buckets. */
interface HeatmapPanel extends PanelBase {
  readonly view: 'heatmap';
}

/** One row a series, `columns` being the labels that are shown, in order. */
interface TablePanel extends PanelBase {
  readonly view: 'table';
  readonly columns: readonly string[];
  /** Heading of the column with the value; left out: the value is not shown. */
  readonly value?: string;
}

/** What something was, over time. */
interface StatesPanel extends PanelBase {
  readonly view: 'states';
  readonly texts: ValueTexts;
}

export type PanelSpec = StatPanel | LinesPanel | HeatmapPanel | TablePanel | StatesPanel;

/** Panels under one heading. */
export interface Section {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

export interface BoardSpec {
  /** Fixed: addresses and the other boards name it. */
  readonly uid: string;
  readonly title: string;
  readonly tells: string;
  /** Filters at the top, each used by some query. */
  readonly variables: readonly VariableName[];
  readonly sections: readonly Section[];
}
