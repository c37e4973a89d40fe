/** Boards in the words of Grafana. The only file that knows its SDK. */
import * as common from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  type DashboardLink,
  DashboardLinkBuilder,
  DashboardLinkType,
  type DataTransformerConfig,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  SpecialValueMatch,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as GaugeBuilder } from '@grafana/grafana-foundation-sdk/gauge';
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  PanelBuilder as HeatmapBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StatesBuilder } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as LinesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { BoardSpec, PanelSpec, Query, Thresholds, ValueTexts, VariableName } from './spec.ts';

/** Chosen at the top of each board, the default one at first: no board names a data source of its own. */
const datasource = { type: 'prometheus', uid: '${datasource}' };
const tag = 'inferry';
const lineHeight = 8;
const figureHeight = 4;

/** The dashboard of a board; panels follow each other from left to right within each section. */
export function buildBoard(spec: BoardSpec): Dashboard {
  const board = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.tells)
    .tags([tag])
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .tooltip(DashboardCursorSync.Crosshair)
    .links([{ build: otherBoards }])
    .variables([
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
      ...spec.variables.map((name) => variable(name, spec.variables)),
    ])
    .annotations(annotations.map((annotation) => annotationQuery(annotation)));
  for (const [index, section] of spec.sections.entries()) {
    board.withRow(new RowBuilder(section.title).id(1000 + index));
    for (const panel of section.panels) board.withPanel({ build: () => buildPanel(panel) });
  }
  return board.build();
}

/** Links to all boards, in sight: the SDK would put them into a menu. */
function otherBoards(): DashboardLink {
  const { placement: _, ...link } = new DashboardLinkBuilder('Inferry')
    .type(DashboardLinkType.Dashboards)
    .tags([tag])
    .includeVars(true)
    .keepTime(true)
    .build();
  return link;
}

/** Where the choices of a variable come from: metrics that exist as soon as a gateway or a worker does. */
const choices: Readonly<Record<VariableName, string>> = {
  model: 'label_values(inferry_requests_total, model)',
  priority: 'label_values(inferry_requests_total, priority)',
  queue: 'label_values(inferry_queue_jobs, queue)',
  instance: 'label_values(inferry_build_info, instance)',
};

function variable(name: VariableName, all: readonly VariableName[]): QueryVariableBuilder {
  // A board that has both shows the queues of the chosen models only.
  const isNarrowed = name === 'queue' && all.includes('model');
  const query = isNarrowed
    ? 'label_values(inferry_queue_jobs{queue=~"($model)@.*"}, queue)'
    : choices[name];
  return (
    new QueryVariableBuilder(name)
      .label(name[0]?.toUpperCase() + name.slice(1))
      .datasource(datasource)
      .query({ query, refId: name })
      .definition(query)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      // oxlint-disable-next-line unicorn/no-array-sort -- not of an array
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue('.*')
      .current({ selected: true, text: ['All'], value: ['$__all'] })
  );
}

interface Annotation {
  readonly name: string;
  readonly expr: string;
  readonly color: string;
  readonly title: string;
  readonly text: string;
}

/**
 * Marks on every panel. A version shows for the first five minutes that anything runs it:
 * `inferry_build_info` is always 1, so that its changes would never show.
 */
const annotations: readonly Annotation[] = [
  {
    name: 'Alerts',
    expr: 'ALERTS{alertname=~"Inferry.*", alertstate="firing", severity!="none"}',
    color: 'red',
    title: '{{alertname}}',
    text: '{{severity}} {{model}} {{queue}} {{priority}} {{instance}}',
  },
  {
    name: 'New versions',
    expr: 'count by (version, revision) (inferry_build_info) unless count by (version, revision) (inferry_build_info offset 5m)',
    color: 'blue',
    title: 'Version {{version}}',
    text: '{{revision}}',
  },
  {
    name: 'Restarts',
    expr: 'changes(process_start_time_seconds[1m]) > 0 and on (instance) inferry_build_info',
    color: 'purple',
    title: 'Restarted',
    text: '{{instance}}',
  },
];

function annotationQuery({ name, expr, color, title, text }: Annotation): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(datasource)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .titleFormat(title)
    .textFormat(text)
    .step('15s');
}

function buildPanel(spec: PanelSpec): Panel {
  const panel = styled(spec)
    .id(spec.id)
    .title(spec.title)
    .description(spec.tells)
    .datasource(datasource)
    .unit(spec.unit)
    .span(spec.width)
    .height('isTall' in spec || !isFigure(spec) ? lineHeight : figureHeight)
    .targets(spec.queries.map((query, index) => target(query, index, spec)));
  return panel.build();
}

function isFigure({ view }: PanelSpec): boolean {
  return view === 'stat' || view === 'gauge';
}

function target(query: Query, index: number, { view }: PanelSpec): DataqueryBuilder {
  const built = new DataqueryBuilder()
    .refId(String.fromCodePoint('A'.charCodeAt(0) + index))
    .datasource(datasource)
    .expr(query.expr)
    .legendFormat(query.legend ?? '__auto');
  if (query.hasExemplars === true) built.exemplar(true);
  if (view === 'heatmap') built.format(PromQueryFormat.Heatmap);
  if (view === 'table') built.format(PromQueryFormat.Table);
  return query.isInstant === true || view === 'table' ? built.instant() : built.range();
}

type AnyPanel =
  | GaugeBuilder
  | HeatmapBuilder
  | LinesBuilder
  | StatBuilder
  | StatesBuilder
  | TableBuilder;

function styled(spec: PanelSpec): AnyPanel {
  switch (spec.view) {
    case 'stat':
    case 'gauge': {
      const builder = spec.view === 'stat' ? new StatBuilder() : new GaugeBuilder();
      builder
        .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
        .thresholds(thresholds(spec.thresholds))
        .mappings([nothing])
        .noValue('-');
      if (spec.view === 'gauge') builder.min(0);
      if (spec.max !== undefined) builder.max(spec.max);
      if (spec.decimals !== undefined) builder.decimals(spec.decimals);
      return builder;
    }
    case 'lines': {
      const builder = new LinesBuilder()
        .legend(legend(['mean', 'lastNotNull', 'max']))
        .tooltip(tooltip())
        .lineWidth(1)
        .fillOpacity(spec.isStacked === true ? 60 : 5)
        .showPoints(common.VisibilityMode.Never)
        .axisSoftMin(0);
      if (spec.isStacked === true)
        builder.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
      if (spec.max !== undefined) builder.max(spec.max);
      if (spec.thresholds !== undefined)
        builder
          .thresholds(thresholds(spec.thresholds))
          .thresholdsStyle(
            new common.GraphThresholdsStyleConfigBuilder().mode(
              common.GraphThresholdsStyleMode.Dashed,
            ),
          );
      return builder;
    }
    case 'heatmap':
      return new HeatmapBuilder()
        .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Turbo'))
        .yAxis(new YAxisConfigBuilder().unit(spec.unit))
        .tooltip(
          new HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(true),
        )
        .showLegend();
    case 'table':
      return new TableBuilder().transformations(columns(spec.columns, spec.value));
    case 'states':
      return new StatesBuilder()
        .legend(legend([]))
        .tooltip(tooltip())
        .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
        .thresholds(thresholds(undefined))
        .mappings([textsOf(spec.texts)]);
  }
}

/** A ratio of nothing to nothing. */
const nothing: ValueMapping = {
  type: MappingType.SpecialValue,
  options: { match: SpecialValueMatch.NullAndNan, result: { text: '-' } },
};

function textsOf(texts: ValueTexts): ValueMapping {
  const options = Object.fromEntries(
    Object.entries(texts).map(([value, shown], index) => [value, { ...shown, index }]),
  );
  return { type: MappingType.ValueToText, options };
}

function thresholds(given: Thresholds | undefined): ThresholdsConfigBuilder {
  const steps = given?.steps ?? [];
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: given?.base ?? 'green' }, ...steps]);
}

function legend(calcs: readonly string[]): common.VizLegendOptionsBuilder {
  return new common.VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(calcs.length > 0 ? common.LegendDisplayMode.Table : common.LegendDisplayMode.List)
    .placement(common.LegendPlacement.Bottom)
    .calcs([...calcs]);
}

function tooltip(): common.VizTooltipOptionsBuilder {
  return (
    new common.VizTooltipOptionsBuilder()
      .mode(common.TooltipDisplayMode.Multi)
      // oxlint-disable-next-line unicorn/no-array-sort -- not of an array
      .sort(common.SortOrder.Descending)
  );
}

/** Keeps the named columns, in that order, and the value when it has a heading. */
function columns(names: readonly string[], value: string | undefined): DataTransformerConfig[] {
  const shown = value === undefined ? names : [...names, 'Value'];
  return [
    { id: 'filterFieldsByName', options: { include: { names: shown } } },
    {
      id: 'organize',
      options: {
        indexByName: Object.fromEntries(shown.map((name, index) => [name, index])),
        renameByName: value === undefined ? {} : { Value: value },
      },
    },
  ];
}
