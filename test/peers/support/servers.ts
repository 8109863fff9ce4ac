import { join } from 'node:path';
import { environmentProgram } from '../python.ts';
import { sources } from '../settings.ts';
import { answers, freePorts, PeerProcess } from './process.ts';

/** A model server of somebody else, with REST and gRPC on ports of their own. */
export interface PeerServer {
  readonly kind: 'kserve' | 'mlserver';
  readonly rest: number;
  readonly grpc: number;
  readonly process: PeerProcess;
  stop(): Promise<void>;
}

const folder = join(sources, 'servers');
// Python writes no bytecode into the repository.
const env = { PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', PYTHONPATH: folder };

/** KServe's ModelServer with the models `peer`, `strict` and `total`. */
export async function startKServe(): Promise<PeerServer> {
  const [rest, grpc] = (await freePorts(2)) as [number, number];
  const process = await PeerProcess.start(
    [environmentProgram('kserve'), 'kserve_peer.py', '--http_port', `${rest}`, '--grpc_port', `${grpc}`],
    { cwd: folder, env, isUp: () => answers(`http://127.0.0.1:${rest}/v2/models/peer/ready`) },
  );
  return { kind: 'kserve', rest, grpc, process, stop: () => process.stop() };
}

/** MLServer with the models `peer` and `strict`. */
export async function startMlserver(): Promise<PeerServer> {
  const [rest, grpc, metrics] = (await freePorts(3)) as [number, number, number];
  const process = await PeerProcess.start([environmentProgram('mlserver', 'mlserver'), 'start', 'mlserver'], {
    cwd: folder,
    env: {
      ...env,
      MLSERVER_HOST: '127.0.0.1',
      MLSERVER_HTTP_PORT: `${rest}`,
      MLSERVER_GRPC_PORT: `${grpc}`,
      MLSERVER_METRICS_PORT: `${metrics}`,
    },
    isUp: () => answers(`http://127.0.0.1:${rest}/v2/models/strict/ready`),
  });
  return { kind: 'mlserver', rest, grpc, process, stop: () => process.stop() };
}
