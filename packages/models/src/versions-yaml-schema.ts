/**
 * The schema of `versions.yaml`: which versions of a model are served, and how requests choose between
 * them. Unknown keys are errors. The published JSON Schema is made from it.
 */
import { z } from 'zod';

/** Labels, and versions that share the traffic, of one model. */
export const routesMax = 100;
const versionsMax = 1_000;
const weightMax = 1_000_000;

/** A number without quotes is what most people write. */
const version = z
  .union([z.string(), z.int()], { error: 'must be the name of a version, as in "2"' })
  .transform(String);

const policy = z.union(
  [
    z.literal('all'),
    z.strictObject({ latest: z.int().min(1).max(versionsMax) }),
    z.strictObject({ specific: z.array(version).min(1).max(versionsMax) }),
  ],
  {
    error: `must be all, {latest: N} (1 to ${versionsMax}) or {specific: [VERSION, ...]} (1 to ${versionsMax} of them)`,
  },
);

export const versionsYamlSchema = z.strictObject({
  policy: policy
    .optional()
    .describe(
      'Which versions are served beside those with a label or traffic. Default: version_policy of config.pbtxt; without one, all.',
    ),
  labels: z
    .record(z.string(), version)
    .optional()
    .describe('Names of versions; "stable" is what requests get that name none.'),
  traffic: z
    .record(z.string(), z.int().min(1).max(weightMax))
    .optional()
    .describe('Weights by version: how requests that name none are shared out.'),
  previous: z
    .record(z.string(), version)
    .optional()
    .describe('Where a rollback goes to, by label. Written by the command line.'),
});

/** A parsed `versions.yaml`. */
export type VersionsConfig = z.output<typeof versionsYamlSchema>;

/** JSON Schema (draft 2020-12) of `versions.yaml`, for editors; committed as `versions.schema.json`. */
export function versionsYamlJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(versionsYamlSchema, { io: 'input' });
  return { $schema, title: 'Inferry versions.yaml', ...schema };
}
