/**
 * Which labels the result of a query has, worked out from the query and the labels of the metrics it
 * names. Finds, before any data exists, what Prometheus would answer with nothing or with an error: a
 * metric or label that there is not, two sides that never match, and sides that match more than once.
 */
import { parser } from '@prometheus-io/lezer-promql';

type Node = ReturnType<typeof parser.parse>['topNode'];

export type LabelSet = ReadonlySet<string>;
/** Labels of a series by its name, as it is stored (`x_bucket`, with `le`); undefined when there is none. */
export type KnownMetrics = (name: string) => LabelSet | undefined;

export interface CheckedQuery {
  /** Empty for a number. */
  readonly labels: LabelSet;
  /** Names of all series in the query, each once. */
  readonly metrics: LabelSet;
  /** What is wrong with it; empty when nothing is. */
  readonly problems: readonly string[];
}

/** Checks one query without variables of Grafana in durations. Never throws because of the query. */
export function checkQuery(query: string, known: KnownMetrics): CheckedQuery {
  const checker = new Checker(query, known);
  const labels = checker.labelsOf(parser.parse(query).topNode) ?? new Set<string>();
  return { labels, metrics: checker.metrics, problems: checker.problems };
}

class Checker {
  readonly metrics = new Set<string>();
  readonly problems: string[] = [];
  private readonly query: string;
  private readonly known: KnownMetrics;

  constructor(query: string, known: KnownMetrics) {
    this.query = query;
    this.known = known;
  }

  /** Undefined: a number or a text, which have no labels and match everything. */
  labelsOf(node: Node): LabelSet | undefined {
    switch (node.name) {
      case 'NumberDurationLiteral':
      case 'StringLiteral':
        return undefined;
      case 'VectorSelector':
        return this.selected(node);
      case 'AggregateExpr':
        return this.aggregated(node);
      case 'FunctionCall':
        return this.called(node);
      case 'BinaryExpr':
        return this.combined(node);
      case 'PromQL':
      case 'ParenExpr':
      case 'UnaryExpr':
      case 'OffsetExpr':
      case 'MatrixSelector':
      case 'SubqueryExpr':
        return this.operands(node)
          .map((operand) => this.labelsOf(operand))
          .find((labels) => labels !== undefined);
      default:
        this.problems.push(`not understood: ${this.text(node)}`);
        return undefined;
    }
  }

  private selected(node: Node): LabelSet {
    const identifier = node.getChild('Identifier');
    const name = identifier === null ? '' : this.text(identifier);
    this.metrics.add(name);
    const labels = this.known(name);
    if (labels === undefined) {
      this.problems.push(`no metric ${name || 'is named'}`);
      return new Set();
    }
    for (const matcher of node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [])
      this.expect(labels, [this.text(matcher.firstChild)], name);
    return labels;
  }

  private aggregated(node: Node): LabelSet {
    const inner = this.argument(node);
    const modifier = node.getChild('AggregateModifier');
    const operation = this.text(node.firstChild);
    if (modifier === null) return /^(?:top|bottom)k$/u.test(operation) ? inner : new Set();
    const named = this.grouping(modifier.getChild('GroupingLabels'));
    this.expect(inner, named, operation);
    if (modifier.getChild('By') !== null) return new Set(named);
    return new Set([...inner].filter((label) => !named.includes(label)));
  }

  private called(node: Node): LabelSet | undefined {
    const name = this.text(node.firstChild);
    if (name === 'scalar' || name === 'time') return undefined;
    if (name === 'vector') return new Set();
    const labels = this.argument(node);
    if (name !== 'histogram_quantile') return labels;
    this.expect(labels, ['le'], name);
    return new Set([...labels].filter((label) => label !== 'le'));
  }

  /** Labels of the last argument that has any. */
  private argument(node: Node): LabelSet {
    const body = node.getChild('FunctionCallBody');
    const all = body === null ? [] : this.operands(body).map((operand) => this.labelsOf(operand));
    return all.findLast((labels) => labels !== undefined) ?? new Set();
  }

  private combined(node: Node): LabelSet | undefined {
    const [leftNode, rightNode] = this.operands(node);
    if (leftNode === undefined || rightNode === undefined) return undefined;
    const left = this.labelsOf(leftNode);
    const right = this.labelsOf(rightNode);
    if (left === undefined || right === undefined) return left ?? right;
    const where = this.text(node);
    const isSet = ['Or', 'And', 'Unless'].some((name) => node.getChild(name) !== null);
    const isUnion = node.getChild('Or') !== null;
    const union = new Set([...left, ...right]);
    const clause = node.getChild('MatchingModifierClause');
    if (clause === null) {
      // What has other labels is another series: right for `or`, never a match for the rest.
      if (!isUnion && !isSame(left, right))
        this.problems.push(`the sides have different labels: ${where}`);
      return isUnion ? union : left;
    }
    const on = this.grouping(clause.getChild('GroupingLabels'));
    if (clause.getChild('On') === null) {
      this.problems.push(`matches by leaving labels out: ${where}`);
      return left;
    }
    this.expect(left, on, where);
    this.expect(right, on, where);
    if (isSet) return isUnion ? union : left;
    const isManyToOne = clause.getChild('GroupLeft') !== null;
    const isUnique = (labels: LabelSet): boolean => [...labels].every((name) => on.includes(name));
    if (!isUnique(right) || !(isManyToOne || isUnique(left)))
      this.problems.push(`the sides match more than once: ${where}`);
    return isManyToOne ? left : new Set(on);
  }

  private expect(labels: LabelSet, names: readonly string[], where: string): void {
    for (const name of names)
      if (!labels.has(name)) this.problems.push(`no label ${name} in ${where}`);
  }

  private grouping(node: Node | null): readonly string[] {
    return (node?.getChildren('LabelName') ?? []).map((label) => this.text(label));
  }

  /** Children that have a value. */
  private operands(node: Node): readonly Node[] {
    const found: Node[] = [];
    for (let child = node.firstChild; child !== null; child = child.nextSibling)
      if (/(?:(?<!Duration)Expr|Call|Selector|Literal|⚠)$/u.test(child.name)) found.push(child);
    return found;
  }

  private text(node: Node | null): string {
    return node === null ? '' : this.query.slice(node.from, node.to);
  }
}

function isSame(a: LabelSet, b: LabelSet): boolean {
  return a.size === b.size && [...a].every((label) => b.has(label));
}
