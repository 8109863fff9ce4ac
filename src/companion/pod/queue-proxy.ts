import { get } from 'node:http';

/** Where Knative's queue-proxy answers in its pod. */
export interface QueueProxyPorts {
  /** `/wait-for-drain`. */
  readonly admin: number;
  /** Its statistics for the autoscaler. */
  readonly stats: number;
}

export const queueProxyPorts: QueueProxyPorts = { admin: 8022, stats: 9090 };

const statsTimeoutMs = 250;
const statsBytesMax = 4096;
/** Fields of Knative's `Stat` (pkg/autoscaler/metrics/stat.proto). */
const averageConcurrentRequests = 2;

/** The Knative queue-proxy in the same pod, through which every request comes. */
export class QueueProxy {
  readonly #ports: QueueProxyPorts;

  constructor(ports: QueueProxyPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves when it has drained, or is gone: nobody can send anything then. Ends with the signal too, and not at all
   * where something else answers at its port.
   */
  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const request = get(
        { host: '127.0.0.1', port: this.#ports.admin, path: '/wait-for-drain', agent: false, signal },
        (response) => {
          response.resume();
          response.on('error', () => {});
          // Whatever becomes of this connection later says nothing where it is not queue-proxy's.
          request.off('error', resolve).on('error', () => {});
          if (response.statusCode === 200) response.on('close', resolve);
        },
      );
      request.on('error', resolve as () => void);
    });
  }

  /**
   * Requests that it had taken and not answered, on average over its last second: those that wait in it and those that it
   * has handed on. Undefined when it does not say.
   */
  concurrency(): Promise<number | undefined> {
    return new Promise((resolve) => {
      const signal = AbortSignal.timeout(statsTimeoutMs);
      const options = { host: '127.0.0.1', port: this.#ports.stats, path: '/metrics', agent: false, signal };
      const request = get(options, (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > statsBytesMax) response.destroy();
          else chunks.push(chunk);
        });
        response.on('error', () => resolve(undefined));
        response.on('close', () => resolve(undefined));
        response.on('end', () => {
          const isStat =
            response.statusCode === 200 &&
            length <= statsBytesMax &&
            response.headers['content-type'] === 'application/protobuf';
          resolve(isStat ? doubleField(Buffer.concat(chunks), averageConcurrentRequests) : undefined);
        });
      });
      request.on('error', () => resolve(undefined));
    });
  }
}

/** A double of a protobuf message: 0 where it is left out, undefined where the bytes are no message. */
export function doubleField(message: Buffer, field: number): number | undefined {
  let at = 0;
  let found = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined || scale > 2 ** 63) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const wire = key % 8;
    if (wire === 0) varint();
    else if (wire === 1) {
      if (Math.floor(key / 8) === field && at + 8 <= message.length) found = message.readDoubleLE(at);
      at += 8;
    } else if (wire === 2) {
      const length = varint();
      at += length;
    } else if (wire === 5) at += 4;
    else return undefined;
    if (!(at <= message.length)) return undefined;
  }
  return Number.isFinite(found) && found >= 0 ? found : undefined;
}
