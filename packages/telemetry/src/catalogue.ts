/**
 * Every metric this system exports, as plain data: code may move only what is named here, and a test
 * shows that each one moves. Base units, stage and outcome as labels, and no label that a caller can
 * fill: no job id, no address, no error text. A worker's series carry no host: the scrape adds it.
 */
import { gatewayCatalogue } from './gateway-catalogue.ts';
import { jobCatalogue } from './job-catalogue.ts';
import type { MetricSpec } from './metric-spec.ts';
import { processCatalogue } from './process-catalogue.ts';

export const metricPrefix = 'inferry_';

export const catalogue = { ...gatewayCatalogue, ...jobCatalogue, ...processCatalogue } as const;

export type Catalogue = typeof catalogue;

/** Every exported name with its specification, for tests and documents. */
export function catalogueList(): readonly (MetricSpec & { readonly fullName: string })[] {
  return Object.values(catalogue).map((spec: MetricSpec) => ({
    ...spec,
    fullName: metricPrefix + spec.name,
  }));
}
