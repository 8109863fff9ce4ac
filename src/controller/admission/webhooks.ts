import type { Clock } from '../../kube/clock.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import type { ControllerOptions } from '../controller-options.ts';
import type { PolicyKeys } from '../policy-keys.ts';
import { ApiLookup } from './lookup.ts';
import { PodWebhook } from './pod-webhook.ts';
import { validatePolicy } from './policy-webhook.ts';
import type { Webhook } from './server.ts';
import { ServiceWebhook, validateService } from './service-webhook.ts';

/** Namespaces of the cluster's own, whatever the operator says. */
const systemNamespaces = ['kube-system', 'kube-public', 'kube-node-lease'];

/** All webhooks by their paths, as the manifests name them. */
export function admissionWebhooks(
  options: ControllerOptions,
  image: string,
  api: KubeApi,
  keys: PolicyKeys,
  clock: Clock,
): Webhook[] {
  const lookup = new ApiLookup(api, clock, options.kserveNamespace);
  const pods = new PodWebhook({
    image: {
      image,
      resources: {
        requests: { cpu: options.companionCpuRequest, memory: options.companionMemoryRequest },
        limits: { cpu: options.companionCpuLimit, memory: options.companionMemoryLimit },
      },
    },
    lookup,
    policyKeys: () => keys.publicKeys(),
    excluded: new Set([options.namespace, ...systemNamespaces, ...options.excludeNamespaces]),
  });
  const own = `system:serviceaccount:${options.namespace}:paceline-controller`;
  const services = new ServiceWebhook(lookup, own);
  return [
    { name: 'pod', path: '/mutate-pods', review: (request) => pods.review(request) },
    {
      name: 'inferenceservice',
      path: '/mutate-inferenceservices',
      review: (request) => services.review(request),
    },
    {
      name: 'inferenceservice-validation',
      path: '/validate-inferenceservices',
      review: (request) => validateService(request, lookup, own),
    },
    {
      name: 'inferencepolicy',
      path: '/validate-inferencepolicies',
      review: (request) => validatePolicy(request, lookup),
    },
  ];
}
