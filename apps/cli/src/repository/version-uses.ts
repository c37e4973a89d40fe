/** What of a versions.yaml asks for a version, so that it cannot simply go. */
import type { ParsedVersionsYaml } from '@inferry/models';

export interface VersionUses {
  /** For a person, as in `the label stable`. */
  readonly uses: readonly string[];
  /** A rollback would go to it. */
  readonly isNoted: boolean;
  /** The policy names it. */
  readonly isSpecific: boolean;
}

export function versionUses(
  config: ParsedVersionsYaml['config'] | undefined,
  version: string,
): VersionUses {
  const { labels = {}, policy, previous = {}, traffic = {} } = config ?? {};
  const names = Object.keys(labels).filter((label) => labels[label] === version);
  return {
    uses: [
      ...names.map((label) => `the label ${label}`),
      ...(Object.hasOwn(traffic, version) ? ['a share of the traffic'] : []),
    ],
    isNoted: Object.values(previous).includes(version),
    isSpecific:
      typeof policy === 'object' && 'specific' in policy && policy.specific.includes(version),
  };
}
