import { join } from 'node:path';
import { dependencyFolder } from '../build.ts';
import { type Manifest, readManifests, replaceTexts } from '../documents.ts';
import { knative } from '../parts.ts';
import { gatewayPort, type KnativeLine, nodeAddress, systemIngressClass } from '../settings.ts';

const imported = /ko:\/\/knative\.dev\/serving\/cmd\/([a-z-]+)/;

export const gatewayService = { name: 'gateway', namespace: 'knative-serving' };

/** What is set in Knative's ConfigMaps. Whatever decides how it scales stays at its defaults. */
const settings: Record<string, Record<string, string>> = {
  'config-network': { 'ingress-class': systemIngressClass },
  // How long the last pod stays after the decision to go to zero: it decides nothing, and tests wait for it.
  'config-autoscaler': { 'scale-to-zero-grace-period': '6s' },
  // Many pods have to fit on two cores.
  'config-deployment': { 'queue-sidecar-cpu-request': '5m' },
};

/** Knative Serving's install, in the order in which it is applied. */
export interface KnativeInstall {
  definitions: Manifest[];
  settings: Manifest[];
  workloads: Manifest[];
}

export function knativeImage(program: string, line: KnativeLine): string {
  return `kind.local/knative/${program}:v${line}`;
}

/**
 * Reads Knative's manifests out of its Go modules. Some that serving's repository links to are missing from its module:
 * these come from the modules that they are links to.
 */
export async function knativeInstall(line: KnativeLine): Promise<KnativeInstall> {
  const part = knative(line);
  const core = join(await dependencyFolder(part, 'knative.dev/serving'), 'config/core');
  const networking = join(await dependencyFolder(part, 'knative.dev/networking'), 'config');
  const caching = join(await dependencyFolder(part, 'knative.dev/caching'), 'config');
  const read = (...paths: string[]) => readManifests(...paths).map((object) => adapt(object, line));
  const inFolder = (folder: string, ...names: string[]) => names.map((name) => join(folder, name));
  return {
    definitions: read(
      join(core, '300-resources'),
      ...inFolder(networking, 'certificate.yaml', 'domain-claim.yaml', 'ingress.yaml', 'serverlessservice.yaml'),
      join(caching, 'image.yaml'),
    ),
    settings: read(
      ...inFolder(core, '100-namespace.yaml', '300-knativecertificate.yaml', '200-serviceaccount.yaml'),
      join(core, '200-roles'),
      join(core, 'configmaps'),
      join(networking, 'config-network.yaml'),
    ),
    workloads: [
      ...read(
        ...['activator', 'autoscaler', 'controller', 'webhook'].map((name) => join(core, `deployments/${name}.yaml`)),
        join(core, 'webhooks'),
        join(core, '999-cache.yaml'),
      ),
      ...gatewayObjects(),
    ],
  };
}

function adapt(object: Manifest, line: KnativeLine): Manifest {
  const adapted = replaceTexts(object, (text) =>
    text === 'devel' ? `${line}.0` : text.replace(imported, (_, program: string) => knativeImage(program, line)),
  );
  const set = adapted.kind === 'ConfigMap' ? settings[adapted.metadata.name] : undefined;
  if (set) adapted.data = { ...adapted.data, ...set };
  if (adapted.kind === 'Deployment') lowerRequests(adapted);
  return adapted;
}

/** Two cores are all there is: what Knative asks for in advance would leave no room for pods. */
function lowerRequests(deployment: Manifest): void {
  const { template } = deployment.spec as {
    template: { spec: { containers: { resources?: { requests?: Record<string, string> } }[] } };
  };
  for (const container of template.spec.containers) {
    if (container.resources) container.resources.requests = { cpu: '10m', memory: '40Mi' };
  }
}

/** The Service that Knative's public Services point to: the gateway, which runs beside the cluster. */
function gatewayObjects(): Manifest[] {
  const port = { name: 'http2', port: 80, protocol: 'TCP' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: gatewayService,
      spec: { ports: [{ ...port, targetPort: gatewayPort }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'gateway-1',
        namespace: gatewayService.namespace,
        labels: { 'kubernetes.io/service-name': gatewayService.name },
      },
      addressType: 'IPv4',
      ports: [{ name: port.name, port: gatewayPort, protocol: 'TCP' }],
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
    },
  ];
}
