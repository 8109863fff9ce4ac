import { instantiateBytes, readKernel } from '../../src/kernels/load.ts';
import { PlacementKernel } from '../../src/kernels/placement.ts';
import type { Measured, ProtocolName } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { defaultSettings, PacelinePolicy } from '../../src/simulator/paceline.ts';
import { simulate } from '../../src/simulator/run.ts';
import { poisson, referenceCapacity, referenceModel } from '../../src/simulator/workload.ts';
import { runTurns } from '../kernel-turns.ts';
import { manyVariants } from '../placement-problems.ts';
import { binaryBatch, messageBatch, type RawBatch } from '../raw-batches.ts';
import { batchOf } from '../wire-bodies.ts';
import { counterExport, instrument } from './instrument.ts';

/** Executed WebAssembly instructions a request or a plan, by scenario. Seeded: the same binary gives the same numbers. */
export function measureCosts(): Record<string, number> {
  const costs: Record<string, number> = {};
  for (const load of [70, 110]) costs[`batching: ${load} % load`] = atLoad(load);
  for (const depth of [1_000, 100_000]) costs[`batching: ${depth} waiting, random deadlines`] = whileWaiting(depth);
  for (const version of ['v1', 'v2'] as const) {
    for (const [name, bytes] of Object.entries({ '100 B': 100, '1 KB': 1_000, '20 KB': 20_000 })) {
      costs[`wire: ${version}, ${name}`] = splicing(version, jsonBatch(version, bytes));
    }
  }
  costs['wire: v2 binary, 20 KB'] = splicing('v2', binaryBatch(20_000, 32));
  costs['wire: grpc, 20 KB'] = splicing('grpc', messageBatch(20_000, 32));
  costs['placement: a service of 8 variants, a plan'] = planning(8);
  costs['placement: a service of one revision, a plan'] = planning(1);
  return costs;
}

/** Plans of fifty different services, the mean. */
function planning(variants: number): number {
  const { exports, count } = counted('placement');
  const kernel = new PlacementKernel(exports);
  const problems = manyVariants(50, variants);
  const before = count();
  for (const problem of problems) kernel.plan(problem);
  return (count() - before) / problems.length;
}

/** 2,000 requests through the batching kernel in front of the reference model. */
function atLoad(percent: number): number {
  const { exports, count } = counted('batching');
  const perSecond = (referenceCapacity * percent) / 100;
  const workload = poisson(11, 0, 2000 / perSecond, perSecond, [{ weight: 1, sloMs: 200, lane: 0 }]);
  simulate(new PacelinePolicy(defaultSettings(200), 0, exports), workload, referenceModel(), { seed: 11 });
  return count() / workload.length;
}

/** Admission and dispatch of 6,000 batches while so many wait; what fills the queue and warms up is taken off. */
function whileWaiting(depth: number): number {
  const run = (turns: number) => {
    const { exports, count } = counted('batching');
    const { items } = runTurns(depth, 'random', turns, exports);
    return { executed: count(), items: items.reduce((sum, each) => sum + each, 0) };
  };
  const short = run(1);
  const long = run(1_001);
  return (long.executed - short.executed) / (long.items - short.items);
}

/** Measuring and merging a batch of bodies and splitting its reply, with templates that are known. */
function splicing(name: ProtocolName, { bodies, reply }: RawBatch): number {
  const { exports, count } = counted('wire');
  const protocol = createProtocols(exports)[name];
  const run = () => {
    const inputs = bodies.map(({ body, jsonBytes }) => ({
      body,
      measured: protocol.measure(body, jsonBytes) as Measured,
    }));
    protocol.merge(inputs);
    if (!Array.isArray(protocol.split(reply.body, inputs, reply.jsonBytes)))
      throw new Error('the reply cannot be split');
  };
  run();
  const before = count();
  run();
  return (count() - before) / bodies.length;
}

function jsonBatch(version: 'v1' | 'v2', bytes: number): RawBatch {
  const { bodies, reply } = batchOf(version, bytes, 32);
  return { bodies: bodies.map((body) => ({ body })), reply: { body: reply } };
}

/** A new instance of a kernel as it ships, but counting. */
function counted(kernel: string): { exports: WebAssembly.Exports; count: () => number } {
  const exports = instantiateBytes(instrument(readKernel(kernel, 'simd')));
  const counter = exports[counterExport] as WebAssembly.Global;
  return { exports, count: () => Number(counter.value) };
}
