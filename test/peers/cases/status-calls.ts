const empty = Buffer.alloc(0);

/** A message of one field, the name of a model. */
export function named(name: string): Buffer {
  return Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
}

/** What every server of the V2 protocol is asked over gRPC beside inferences. */
export const statusCalls = [
  { name: 'live', method: 'ServerLive', body: empty },
  { name: 'ready', method: 'ServerReady', body: empty },
  { name: 'server metadata', method: 'ServerMetadata', body: empty },
  { name: 'model ready', method: 'ModelReady', body: named('peer') },
  { name: 'model metadata', method: 'ModelMetadata', body: named('peer') },
  { name: 'an unknown method', method: 'Nothing', body: empty },
];
