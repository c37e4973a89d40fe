/** The page of the documentation that shows each panel with what it returned when it was last tried. */
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { MayBeEmpty } from '../files.ts';

/** What one query returned. */
interface PanelValue {
  /** How many series. */
  readonly series: number;
  /** One of them: `{label="value"} = number`. */
  readonly example: string;
}

/** By `<uid of the dashboard>/<id of the panel>/<refId of the query>`. */
export type PanelValues = Readonly<Record<string, PanelValue>>;

const opening = `# Panels

What each panel of the [dashboards](../infra/grafana/dashboards) tells, what it asks, and what Prometheus answered when
it scraped a gateway and workers under a small load on one machine. The figures say that a query works, not how fast
anything is. \`npm run docs:panels\` writes this page; the texts are those of
[infra/grafana/src/boards](../infra/grafana/src/boards).
`;

/**
 * Markdown of the page: the same for the same panels and values.
 *
 * @throws When a query returned nothing that is not listed in `mayBeEmpty`.
 */
export function panelsPage(
  dashboards: readonly Dashboard[],
  values: PanelValues,
  mayBeEmpty: readonly MayBeEmpty[],
): string {
  const parts = [opening];
  for (const { uid = '', title = '', description = '', panels = [] } of dashboards) {
    parts.push(`## ${title.replace('Inferry / ', '')}\n\n${description}\n`);
    for (const panel of panels) {
      if (panel.type === 'row') parts.push(`### ${panel.title}\n`);
      else parts.push(...panelParts(uid, panel, values, mayBeEmpty));
    }
  }
  return parts.join('\n');
}

function panelParts(
  uid: string,
  { id = 0, title = '', description = '', targets = [] }: Panel,
  values: PanelValues,
  mayBeEmpty: readonly MayBeEmpty[],
): readonly string[] {
  const parts = [`#### ${title}\n\n${description}\n`];
  for (const { refId, expr } of targets as unknown as { refId: string; expr: string }[]) {
    const key = `${uid}/${id}/${refId}`;
    const reason = mayBeEmpty.find(
      ({ dashboard, panel, exprPrefix }) =>
        dashboard === uid && panel === id && expr.startsWith(exprPrefix),
    )?.reason;
    parts.push(`\`\`\`promql\n${expr}\n\`\`\`\n\n${returned(key, values[key], reason)}\n`);
  }
  return parts;
}

function returned(key: string, value: PanelValue | undefined, reason: string | undefined): string {
  if (value !== undefined && value.series > 0)
    return `Returned ${value.series} series, such as \`${rounded(value.example)}\`.`;
  if (reason === undefined) throw new Error(`${key} returned no series, and nothing says why`);
  return `Returned no series. ${reason}`;
}

/** Four significant digits of the number at the end. */
function rounded(example: string): string {
  return example.replace(/-?\d[\d.]*(?:e[+-]?\d+)?$/u, (number) =>
    String(Number(Number(number).toPrecision(4))),
  );
}
