/** What is shipped for Prometheus and Grafana, read as a test needs it: rules, alerts, queries of panels. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { parse } from 'yaml';

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A query of a panel, as it is sent when every variable has the value All. */
export interface PanelQuery {
  /** `<uid of the dashboard>/<id of the panel>/<letter of the query>`. */
  readonly key: string;
  readonly title: string;
  /** As the dashboard has it. */
  readonly source: string;
  readonly expression: string;
}

export const rulesFile = repositoryPath('infra/prometheus/rules/inferry.yml');

interface RuleFile {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly (RecordingRule | AlertRule)[];
  }[];
}

export function shippedRules(): {
  readonly recording: readonly RecordingRule[];
  readonly alerts: readonly AlertRule[];
} {
  const { groups } = parse(readFileSync(rulesFile, 'utf8')) as RuleFile;
  const all = groups.flatMap(({ rules }) => rules);
  return {
    recording: all.filter((rule) => 'record' in rule),
    alerts: all.filter((rule) => 'alert' in rule),
  };
}

interface Panel {
  readonly id: number;
  readonly title?: string;
  readonly targets?: readonly { readonly expr?: string; readonly refId: string }[];
  /** Of a collapsed row. */
  readonly panels?: readonly Panel[];
}

/** Every query of the dashboards. */
export function panelQueries(): readonly PanelQuery[] {
  const folder = repositoryPath('infra/grafana/dashboards');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .flatMap((name) => {
      const board = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
        readonly uid: string;
        readonly panels: readonly Panel[];
      };
      return board.panels.flatMap((panel) => queriesOf(board.uid, panel));
    });
}

function queriesOf(uid: string, panel: Panel): readonly PanelQuery[] {
  const own = (panel.targets ?? []).flatMap(({ expr, refId }) =>
    expr === undefined
      ? []
      : [
          {
            key: `${uid}/${panel.id}/${refId}`,
            title: panel.title ?? '',
            source: expr,
            expression: withVariables(expr),
          },
        ],
  );
  return [...own, ...(panel.panels ?? []).flatMap((inner) => queriesOf(uid, inner))];
}

/** What Grafana puts in place of its variables when nothing is chosen, with rates over 30 s. */
function withVariables(expression: string): string {
  return expression
    .replaceAll(/\$__rate_interval|\$\{__rate_interval\}/gu, '30s')
    .replaceAll(/\$__(?:range|interval)|\$\{__(?:range|interval)\}/gu, '5m')
    .replaceAll(/\$[a-z]\w*|\$\{[a-z]\w*(?::\w+)?\}/giu, '.*');
}

/** A query that may rightly return nothing, from the list beside the dashboards. */
interface EmptyQuery {
  readonly dashboard: string;
  readonly panel: number;
  /** The expression begins so. */
  readonly exprPrefix: string;
  readonly reason: string;
}

/** Says of a query whether it may return nothing; `unused` are entries of the list that fit no query. */
export function mayBeEmpty(queries: readonly PanelQuery[]): {
  readonly keys: ReadonlySet<string>;
  readonly unused: readonly EmptyQuery[];
} {
  const file = repositoryPath('infra/grafana/may-be-empty.json');
  const list = JSON.parse(readFileSync(file, 'utf8')) as readonly EmptyQuery[];
  const fits = (query: PanelQuery, { dashboard, panel, exprPrefix }: EmptyQuery): boolean =>
    query.key.startsWith(`${dashboard}/${panel}/`) && query.source.startsWith(exprPrefix);
  return {
    keys: new Set(
      queries.filter((query) => list.some((entry) => fits(query, entry))).map(({ key }) => key),
    ),
    unused: list.filter((entry) => !queries.some((query) => fits(query, entry))),
  };
}
