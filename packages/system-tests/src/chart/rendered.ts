/** What the Helm chart renders for its test values, as objects: read from the golden files, without helm. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { parseAllDocuments } from 'yaml';

type Labels = Readonly<Record<string, string>>;

interface EnvVar {
  readonly name: string;
  readonly value?: string;
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly volumeMounts: readonly { readonly name: string }[];
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Labels };
  readonly spec: {
    readonly automountServiceAccountToken: boolean;
    readonly terminationGracePeriodSeconds: number;
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly { readonly name: string }[];
  };
}

export interface Trigger {
  readonly type: 'prometheus' | 'redis';
  readonly name: string;
  readonly metricType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly authenticationRef?: { readonly name: string };
}

/** An object of Kubernetes, with what the tests look at. */
export interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Labels };
  readonly spec: {
    readonly replicas?: number;
    readonly selector?: Labels & { readonly matchLabels?: Labels };
    readonly template?: PodTemplate;
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly maxReplicaCount?: number;
    readonly minReplicaCount?: number;
    readonly fallback?: Readonly<Record<string, unknown>>;
    readonly triggers?: readonly Trigger[];
    readonly podSelector?: { readonly matchLabels: Labels };
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly { readonly ports: readonly { readonly port: string }[] }[];
    readonly podMetricsEndpoints?: readonly {
      readonly relabelings: readonly {
        readonly sourceLabels: readonly string[];
        readonly targetLabel: string;
        readonly replacement: string;
      }[];
    }[];
    readonly secretTargetRef?: readonly { readonly parameter: string }[];
  };
}

export interface Case {
  /** `gpu` for `ci/gpu-values.yaml`. */
  readonly name: string;
  readonly text: string;
  readonly objects: readonly Rendered[];
}

/** Every golden file. */
export function renderedCases(): readonly Case[] {
  const folder = repositoryPath('infra/helm/golden');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      const objects = parseAllDocuments(text).map((document) => document.toJS() as Rendered);
      return { name: file.replace('.yaml', ''), text, objects };
    });
}

/** The one case of that name; throws when there is none. */
export function renderedCase(name: string): Case {
  const found = renderedCases().find((one) => one.name === name);
  if (found === undefined) throw new Error(`no golden file ${name}.yaml`);
  return found;
}

export function ofKind({ objects }: Case, ...kinds: readonly string[]): readonly Rendered[] {
  return objects.filter(({ kind }) => kinds.includes(kind));
}

/** Whether pods with these labels are selected. An empty selector is a mistake: it would select all. */
export function selects(selector: Labels | undefined, labels: Labels): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
