import { z } from 'zod';
import { apiVersion, conditionsSchema, metadataSchema, readObject, withReadableStatus } from './crd-schema.ts';
import type { Problem } from './problem.ts';

const labelsMax = 16;

const entrySchema = z.strictObject({
  instanceType: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .meta({ description: 'nodes whose label node.kubernetes.io/instance-type says so' }),
  nodeLabels: z
    .record(z.string(), z.string())
    .refine((labels) => isBetween(Object.keys(labels).length, 1, labelsMax), {
      error: `names 1 to ${labelsMax} labels: leave it out where the price holds for all nodes`,
    })
    .optional()
    .meta({ description: 'nodes that carry all of these labels', minProperties: 1, maxProperties: labelsMax }),
  price: z.number().min(0).max(1e9).meta({
    description:
      'of one replica for an hour on such a node (billing replica-seconds), of one request (request), or of a GB held for a second (gb-seconds)',
  }),
});

function isBetween(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

const statusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: conditionsSchema.optional(),
});

/** Prices of a cluster's nodes. */
export const priceListSchema = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('PriceList'),
  metadata: metadataSchema,
  spec: z.strictObject({
    currency: z
      .string()
      .length(3)
      .regex(/^[A-Z]{3}$/)
      .meta({ description: 'ISO 4217, such as USD' }),
    billing: z
      .enum(['replica-seconds', 'request', 'gb-seconds'])
      .default('replica-seconds')
      .meta({ description: 'what is paid for' }),
    prices: z.array(entrySchema).min(1).max(256).meta({
      description: 'the entry with the most labels that a node has holds; among equals the first',
      'x-kubernetes-list-type': 'atomic',
    }),
  }),
  status: statusSchema.optional(),
});

export type PriceList = z.output<typeof priceListSchema>;
export type Billing = PriceList['spec']['billing'];

/** What a replica costs on one node. */
export interface Price {
  readonly billing: Billing;
  /** Of a replica-hour, a request or a GB-second. */
  readonly amount: number;
  readonly currency: string;
}

/** What one replica costs an hour. */
export interface ReplicaPrice {
  readonly perHour: number;
  readonly currency: string;
}

/** Reads a PriceList, or says all that is wrong with it. */
export function readPriceList(object: unknown): { value?: PriceList; problems: Problem[] } {
  return readObject(priceListSchema, withReadableStatus(object, statusSchema), 'PL_PRICE_LIST');
}

/** Of several lists the oldest holds, then the first by name: two currencies cannot be added up. */
export function choosePriceList(lists: readonly PriceList[]): PriceList | undefined {
  const rank = ({ metadata }: PriceList) => `${metadata.creationTimestamp ?? '\uffff'} ${metadata.name}`;
  return [...lists].sort((one, other) => (rank(one) < rank(other) ? -1 : 1))[0];
}

const instanceTypeLabels = ['node.kubernetes.io/instance-type', 'beta.kubernetes.io/instance-type'];

/** The instance type of a node with these labels; empty where they do not say. */
export function instanceTypeOf(labels: Readonly<Record<string, string>>): string {
  return instanceTypeLabels.map((label) => labels[label]).find((type) => type !== undefined) ?? '';
}

/** What a replica costs on a node with these labels; undefined where the list does not say. */
export function priceOfNode(list: PriceList, labels: Readonly<Record<string, string>>): Price | undefined {
  let best: { amount: number; specific: number } | undefined;
  for (const { instanceType, nodeLabels = {}, price } of list.spec.prices) {
    if (instanceType !== undefined && !instanceTypeLabels.some((label) => labels[label] === instanceType)) continue;
    const wanted = Object.entries(nodeLabels);
    if (wanted.some(([label, value]) => labels[label] !== value)) continue;
    const specific = wanted.length + (instanceType === undefined ? 0 : 1);
    if (best === undefined || specific > best.specific) best = { amount: price, specific };
  }
  return best && { billing: list.spec.billing, amount: best.amount, currency: list.spec.currency };
}

/**
 * What a replica-hour costs at most on the nodes that there are: where nothing runs yet, a bound on what is spent holds
 * only if it holds there too. Undefined where the list names none of them, or bills by what only a replica shows.
 */
export function dearestPrice(
  list: PriceList,
  nodes: Iterable<Readonly<Record<string, string>>>,
): ReplicaPrice | undefined {
  if (list.spec.billing !== 'replica-seconds') return undefined;
  let most: number | undefined;
  for (const labels of nodes) {
    const amount = priceOfNode(list, labels)?.amount;
    if (amount !== undefined) most = Math.max(most ?? 0, amount);
  }
  return most === undefined ? undefined : { perHour: most, currency: list.spec.currency };
}

/**
 * What a replica costs an hour.
 *
 * @param load what it holds and answers: memory in GB, requests a second
 */
export function costPerHour({ billing, amount }: Price, load: { memoryGb: number; requestRate: number }): number {
  switch (billing) {
    case 'replica-seconds':
      return amount;
    case 'gb-seconds':
      return amount * load.memoryGb * 3600;
    case 'request':
      return amount * load.requestRate * 3600;
  }
}
