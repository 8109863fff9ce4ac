import type { KernelSource } from '../kernels/load.ts';
import { WireKernel } from '../kernels/wire.ts';
import { GrpcProtocol } from './grpc-protocol.ts';
import { JsonProtocol } from './json-protocol.ts';
import type { BatchProtocol, ProtocolName } from './protocol.ts';

/** All protocols that are batched, over one kernel instance. */
export function createProtocols(from?: KernelSource): Record<ProtocolName, BatchProtocol> {
  const kernel = new WireKernel(from);
  return { v1: new JsonProtocol('v1', kernel), v2: new JsonProtocol('v2', kernel), grpc: new GrpcProtocol(kernel) };
}
