/** Why a version is served, in words. */
import { defaultLabel, type ModelRouting } from '@inferry/contracts';
import { latestVersion, type Repository } from '@inferry/models';

/** As in `policy latest 1 (config.pbtxt); label stable; 90 % of requests that name no version`. */
export function whyServed(
  { choices, models, routing }: Pick<Repository, 'choices' | 'models' | 'routing'>,
  model: string,
  version: string,
): string {
  const choice = choices[model];
  const own = routing[model];
  const labels = labelsOf(own, version);
  const share = shareOf(own, version);
  const others = models.filter(({ name }) => name === model);
  const byDefault = own?.labels[defaultLabel] ?? latestVersion(others)?.version;
  const isDefault = others.length > 1 && byDefault === version && (own?.traffic.length ?? 0) === 0;
  return [
    ...(choice?.byPolicy.includes(version) ? [`policy ${choice.policy}`] : []),
    ...(choice?.instead === version ? [`nothing of policy ${choice.policy} can be read`] : []),
    ...(labels.length === 0
      ? []
      : [`${labels.length === 1 ? 'label' : 'labels'} ${labels.join(', ')}`]),
    ...(share === undefined ? [] : [`${share} of requests that name no version`]),
    ...(isDefault ? ['all requests that name no version'] : []),
  ].join('; ');
}

export function labelsOf(routing: ModelRouting | undefined, version: string): readonly string[] {
  return Object.entries(routing?.labels ?? {}).flatMap(([label, named]) =>
    named === version ? [label] : [],
  );
}

/** As in `90 %`; undefined where traffic is not shared out with it. */
export function shareOf(routing: ModelRouting | undefined, version: string): string | undefined {
  const shares = routing?.traffic ?? [];
  const own = shares.find((share) => share.version === version);
  return own === undefined
    ? undefined
    : percent(
        own.weight,
        shares.map(({ weight }) => weight),
      );
}

/** As in `2 gets 90 %, 3 gets 10 %`; weights by version. */
export function sharesText(traffic: Readonly<Record<string, number>>): string {
  const weights = Object.values(traffic);
  return Object.entries(traffic)
    .map(([version, weight]) => `${version} gets ${percent(weight, weights)}`)
    .join(', ');
}

function percent(weight: number, weights: readonly number[]): string {
  const sum = weights.reduce((all, each) => all + each, 0);
  return `${Number(((100 * weight) / sum).toPrecision(3))} %`;
}
