/**
 * JSON schemas of the Kubernetes objects that the chart renders, as kubeconform reads them: made once, without
 * a cluster, from the OpenAPI document of Kubernetes and the CustomResourceDefinitions of what is asked of a
 * cluster besides. They are strict: a field that the API does not know is refused, as `kubectl --validate=strict` does.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ensureGoModule, into, toolCache } from '../../ensure-go-tool.mjs';

const kubernetes = 'k8s.io/kubernetes@v1.34.0';
const crds = [
  {
    module: 'github.com/kedacore/keda/v2@v2.20.2',
    folder: ['config', 'crd', 'bases'],
    files: ['keda.sh_scaledobjects.yaml', 'keda.sh_triggerauthentications.yaml'],
  },
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    folder: ['example', 'prometheus-operator-crd'],
    files: ['monitoring.coreos.com_podmonitors.yaml', 'monitoring.coreos.com_prometheusrules.yaml'],
  },
  {
    module: 'sigs.k8s.io/gateway-api@v1.4.1',
    folder: ['config', 'crd', 'standard'],
    files: ['gateway.networking.k8s.io_httproutes.yaml'],
  },
];
const kinds = new Set([
  'ConfigMap',
  'Deployment',
  'HorizontalPodAutoscaler',
  'Ingress',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'Secret',
  'Service',
  'ServiceAccount',
  'StatefulSet',
]);

/** Raised when the same modules would give other schemas. */
const form = 1;

/** Where kubeconform finds the schema of an object below the folder. */
export const schemaTemplate = '{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json';

/** The version of Kubernetes that charts are rendered for and checked against. */
export const kubernetesVersion = kubernetes.split('@v')[1];

/** Returns the folder of the schemas; throws an Error with advice when they cannot be fetched. */
export function ensureSchemas() {
  const versions = [kubernetes, ...crds.map(({ module }) => module)].map((module) => {
    const [, name, version] = /([^/]+)(?:\/v\d+)?@v(.+)$/u.exec(module);
    return `${name}-${version}`;
  });
  const folder = join(toolCache, ['schemas', form, ...versions].join('-'));
  if (existsSync(folder)) return folder;
  console.error(`making schemas in ${folder}`);
  into(folder, (unfinished) => {
    writeBuiltIn(unfinished);
    for (const { module, folder: below, files } of crds) {
      const source = join(ensureGoModule(module), ...below);
      for (const file of files) writeCrd(join(source, file), unfinished);
    }
    return true;
  });
  return folder;
}

function writeBuiltIn(folder) {
  const swagger = join(ensureGoModule(kubernetes), 'api', 'openapi-spec', 'swagger.json');
  const { definitions } = JSON.parse(readFileSync(swagger, 'utf8'));
  refuseUnknownFields(definitions);
  // Written as text in the document; a manifest may have a number: `nvidia.com/gpu: 1`.
  definitions['io.k8s.apimachinery.pkg.api.resource.Quantity'] = {
    oneOf: [{ type: 'string' }, { type: 'number' }],
  };
  for (const [name, definition] of Object.entries(definitions)) {
    for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
      if (!kinds.has(kind)) continue;
      const used = Object.fromEntries(
        [...reachable(definitions, name)].map((each) => [each, definitions[each]]),
      );
      const schema = { $ref: `#/definitions/${name}`, definitions: used };
      write(folder, { group: group || version, version, kind }, schema);
    }
  }
}

/** The names of the definitions that `name` refers to, itself included. */
function reachable(definitions, name) {
  const found = new Set([name]);
  for (const each of found) {
    for (const [, other] of JSON.stringify(definitions[each]).matchAll(
      /"#\/definitions\/([^"]+)"/gu,
    )) {
      found.add(other);
    }
  }
  return found;
}

function writeCrd(file, folder) {
  for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
    const { spec } = document.toJS();
    for (const { name: version, schema } of spec.versions) {
      refuseUnknownFields(schema.openAPIV3Schema);
      const { group, names } = spec;
      write(folder, { group, version, kind: names.kind }, schema.openAPIV3Schema);
    }
  }
}

/** In place. Where the API takes any field, it says so. */
function refuseUnknownFields(node) {
  if (typeof node !== 'object' || node === null) return;
  const isOpen =
    node['x-kubernetes-preserve-unknown-fields'] === true ||
    node.additionalProperties !== undefined;
  const hasFields = typeof node.properties === 'object' && node.properties !== null;
  if (hasFields && !isOpen && (node.type === undefined || node.type === 'object')) {
    node.additionalProperties = false;
  }
  if (node.format === 'int-or-string') {
    delete node.type;
    node.oneOf = [{ type: 'string' }, { type: 'integer' }];
  }
  for (const child of Object.values(node)) refuseUnknownFields(child);
}

function write(folder, { group, version, kind }, schema) {
  mkdirSync(join(folder, group), { recursive: true });
  writeFileSync(
    join(folder, group, `${kind.toLowerCase()}_${version}.json`),
    JSON.stringify(schema),
  );
}
