/** `inferry models label`, `traffic` and `rollback`: which version of a model a request gets. */
import { defaultLabel } from '@inferry/contracts';
import { compareVersions, labelProblem, type VersionsEdit } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { parseModelReference } from '../model-reference.ts';
import type { Report } from '../models-doctor.ts';
import { type Changed, changeVersions, type VersionsState } from './change-versions.ts';
import { sharesText } from './why-served.ts';

type Words = Pick<Invocation, 'flags' | 'operands'>;

const weightMax = 1_000_000;

/** Gives a version a label, or takes one away. The error is one of usage. */
export async function labelModel(words: Words): Promise<Result<Report, string>> {
  const { flags, operands } = words;
  const removed = flags.get('remove');
  const reference = parseModelReference(operands[0] ?? '');
  if (removed !== undefined) {
    if (operands.length > 1) return err('--remove takes MODEL alone, as in digits --remove canary');
    if (reference === undefined || reference.version !== null) return err(modelRule(operands[0]));
    return told(words, reference.model, (state) => {
      const { [removed]: version, ...labels } = state.labels;
      if (version === undefined)
        return err(`no version is called ${removed}; ${labelsText(state)}`);
      return ok({ edit: { labels }, said: `${removed} is gone (was ${version})` });
    });
  }
  const label = operands[1];
  if (reference === undefined || reference.version === null) {
    return err(`MODEL must name a version, as in digits@2, not "${operands[0]}"`);
  }
  if (label === undefined) return err('"models label" needs LABEL, or --remove LABEL');
  const wrong = labelProblem(label);
  if (wrong !== undefined) return err(`LABEL must not be "${label}": ${wrong}`);
  const { model, version } = reference;
  return told(words, model, (state) => {
    const absent = absentVersion(model, version, state);
    if (absent !== undefined) return err(absent);
    return ok(labelled(state, label, version));
  });
}

/** Shares out requests that name no version, or stops that. The error is one of usage. */
export async function shareTraffic(words: Words): Promise<Result<Report, string>> {
  const [model = '', ...texts] = words.operands;
  const reference = parseModelReference(model);
  if (reference === undefined || reference.version !== null) return err(modelRule(model));
  const isCleared = words.flags.has('clear');
  if (isCleared !== (texts.length === 0)) {
    return err('"models traffic" needs VERSION=WEIGHT, once or more, or --clear');
  }
  const traffic: Record<string, number> = {};
  for (const text of texts) {
    const [, version = '', digits = ''] = /^([^=]+)=(\d{1,7})$/u.exec(text) ?? [];
    const weight = Number(digits);
    if (weight < 1 || weight > weightMax) {
      return err(
        `VERSION=WEIGHT must be as in 2=90, with a whole weight of 1 to ${weightMax}, not "${text}"`,
      );
    }
    if (Object.hasOwn(traffic, version)) return err(`version ${version} is given twice`);
    traffic[version] = weight;
  }
  return told(words, model, (state) => {
    for (const version of Object.keys(traffic)) {
      const absent = absentVersion(model, version, state);
      if (absent !== undefined) return err(absent);
    }
    return ok({ edit: { traffic }, said: trafficText(traffic) });
  });
}

/**
 * `stable` goes back to the version that it was before, or to the one before it where that is not known; all
 * requests that name no version get it. Once more goes forward again. The error is one of usage.
 */
export async function rollBack(words: Words): Promise<Result<Report, string>> {
  const [model = ''] = words.operands;
  const reference = parseModelReference(model);
  if (reference === undefined || reference.version !== null) return err(modelRule(model));
  return told(words, model, (state) => {
    const { labels, latestServed, previous, there, traffic } = state;
    const now = labels[defaultLabel] ?? latestServed;
    const noted = previous[defaultLabel];
    const isNoted = noted !== undefined && noted !== now;
    const back = isNoted ? noted : there.findLast((version) => compareVersions(version, now) < 0);
    if (back === undefined) {
      return err(
        `${model} has no version before ${now}, and none is noted in versions.yaml; it has: ${there.join(', ')}`,
      );
    }
    if (!there.includes(back)) {
      return err(
        `${model} was at ${back} before, which is not there any more; it has: ${there.join(', ')}. Choose one: inferry models label ${model}@VERSION ${defaultLabel}`,
      );
    }
    const shares =
      Object.keys(traffic).length === 0 ? '' : `; ${trafficText({})} (was: ${sharesText(traffic)})`;
    return ok({
      edit: {
        labels: { ...labels, [defaultLabel]: back },
        previous: { ...previous, [defaultLabel]: now },
        traffic: {},
      },
      said: `${defaultLabel} is ${back} (was ${now})${shares}`,
      hint: `"inferry models rollback ${model}" once more goes to ${now} again`,
    });
  });
}

interface Decision {
  readonly edit: VersionsEdit;
  readonly said: string;
  /** For standard error. */
  readonly hint?: string;
}

function labelled(state: VersionsState, label: string, version: string): Decision {
  const { labels, latestServed, previous, traffic } = state;
  const before = labels[label];
  const edit = { labels: { ...labels, [label]: version } };
  const said = `${label} is ${version}${before === undefined || before === version ? '' : ` (was ${before})`}`;
  if (label !== defaultLabel) return { edit, said };
  const served = before ?? latestServed;
  const isShared = Object.keys(traffic).length > 0;
  return {
    // Where a rollback goes to.
    edit: served === version ? edit : { ...edit, previous: { ...previous, [label]: served } },
    said,
    ...(isShared && {
      hint: `requests that name no version are still shared out: ${sharesText(traffic)}`,
    }),
  };
}

async function told(
  { flags }: Words,
  model: string,
  decide: (state: VersionsState) => Result<Decision, string>,
): Promise<Result<Report, string>> {
  let decision: Decision | undefined;
  const changed = await changeVersions(flags.get('models') ?? 'models', model, (state) => {
    const decided = decide(state);
    if (!decided.ok) return decided;
    decision = decided.value;
    return ok(decision.edit);
  });
  if (!changed.ok) return ok({ data: '', remarks: `inferry: ${changed.error}\n`, exitCode: 1 });
  const { said = '', hint } = decision ?? {};
  const remarks = hint === undefined ? '' : `${hint}\n`;
  return ok({
    data: flags.has('json') ? jsonOf(model, changed.value) : lineOf(changed.value, said),
    remarks,
    exitCode: 0,
  });
}

function lineOf({ file, isChanged }: Changed, said: string): string {
  return `${file}: ${said}${isChanged ? '' : ', as before'}\n`;
}

function jsonOf(model: string, { isChanged, ...changed }: Changed): string {
  return `${JSON.stringify({ model, changed: isChanged, ...changed }, null, 2)}\n`;
}

function trafficText(traffic: VersionsState['traffic']): string {
  if (Object.keys(traffic).length === 0) return 'traffic is not shared out';
  return `requests that name no version are shared out: ${sharesText(traffic)}`;
}

function labelsText({ labels }: VersionsState): string {
  const names = Object.keys(labels);
  return names.length === 0 ? 'there is no label' : `there are: ${names.join(', ')}`;
}

function absentVersion(
  model: string,
  version: string,
  { labels, there }: VersionsState,
): string | undefined {
  if (there.includes(version)) return undefined;
  const meant = labels[version];
  const label = meant === undefined ? '' : ` (${version} is a label, of version ${meant})`;
  return `${model} has no version ${version}${label}; it has: ${there.join(', ')}`;
}

function modelRule(text = ''): string {
  return `MODEL must be a name, as in digits, not "${text}"`;
}
