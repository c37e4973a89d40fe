/** How requests that name no version, or a label, choose between the versions of a model. */

/** The label whose version answers requests that name none, where no traffic is shared out. */
export const defaultLabel = 'stable';

export interface ModelRouting {
  /** The version of each label, such as `stable` or `canary`. */
  readonly labels: Readonly<Record<string, string>>;
  /** Shares of the requests that name no version; empty: all go to the default version. */
  readonly traffic: readonly TrafficShare[];
}

export interface TrafficShare {
  readonly version: string;
  /** Whole, at least 1; of the sum of all. */
  readonly weight: number;
}
