import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentProgram } from '../../test/peers/python.ts';
import { directory } from '../../test/peers/settings.ts';
import { startAgent, startQueueProxy } from '../../test/peers/support/pod.ts';
import { answers, freePorts, PeerProcess } from '../../test/peers/support/process.ts';
import { bodyOf, predictPath } from '../support/load.ts';
import { MeasuredProcess } from '../support/measured-process.ts';

/** One way of standing in front of a model, or of serving it, while it is measured. */
export interface Contender {
  readonly name: string;
  /** What its callers send. */
  readonly path: string;
  body(bytes: number): string;
  readonly port: number;
  /** The processes whose CPU is the way's own. */
  readonly pids: readonly number[];
  /** It lives for one turn only: nothing of it is left behind. */
  readonly endsWithTurn?: boolean;
  /** Called around each turn: what is not measured must not take any CPU. */
  begin(): Promise<void>;
  end(): Promise<void>;
  stop(): Promise<void>;
}

const folder = fileURLToPath(new URL('servers', import.meta.url));
const python = { PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', PYTHONPATH: folder, OMP_NUM_THREADS: '1' };

const v1 = { path: predictPath, body: bodyOf };

/** The companion with nothing but an SLO. It idles at next to nothing, and what it has learned it keeps. */
export async function paceline(modelPort: number, ...flags: string[]): Promise<Contender> {
  const process = await MeasuredProcess.paceline([
    'companion',
    ...['--port', '0', '--admin-port', '0', '--host', '127.0.0.1', '--slo', '200ms'],
    ...['--upstream', `http://127.0.0.1:${modelPort}`],
    ...flags,
  ]);
  return ofNode('Paceline', process);
}

/** A proxy of node:http and undici that only forwards. */
export async function bareProxy(modelPort: number): Promise<Contender> {
  const upstream = `http://127.0.0.1:${modelPort}`;
  const process = await MeasuredProcess.paceline(['baseline', '--port', '0', '--rule', 'none', '--upstream', upstream]);
  return ofNode('bare node:http and undici proxy', process);
}

/** The reference model alone, or another module of the benchmarks that serves V1. */
export async function model(...args: string[]): Promise<MeasuredProcess> {
  return MeasuredProcess.module('reference-model.ts', args);
}

function ofNode(name: string, process: MeasuredProcess): Contender {
  return {
    ...v1,
    name,
    port: process.port,
    pids: [process.pid],
    begin: nothing,
    end: nothing,
    stop: () => process.stop(),
  };
}

/** KServe's agent. Its socket is one for the machine, so that it lives for a turn only. */
export function agentForTurns(name: string, modelPort: number, ...flags: string[]): Contender {
  let running: PeerProcess | undefined;
  let port = 0;
  return {
    ...v1,
    name,
    endsWithTurn: true,
    get port() {
      return port;
    },
    get pids() {
      return running ? [running.pid] : [];
    },
    async begin() {
      const started = await startAgent(modelPort, ...flags);
      running = started.process;
      port = started.port;
    },
    async end() {
      await running?.stop();
      running = undefined;
    },
    stop: async () => running?.stop(),
  };
}

/** KServe's agent for as long as it is measured beside others, frozen between its turns: its batcher polls. */
export async function agent(name: string, modelPort: number, ...flags: string[]): Promise<Contender> {
  const { port, process } = await startAgent(modelPort, ...flags);
  return frozenBetweenTurns({ ...v1, name, port }, process);
}

export async function queueProxy(modelPort: number): Promise<Contender> {
  const { port, process } = await startQueueProxy(modelPort);
  return frozenBetweenTurns({ ...v1, name: "Knative's queue-proxy", port }, process);
}

export const tunedBatcher = ['--enable-batcher', '--max-batchsize', '32', '--max-latency', '10'];

/** The reference model in MLServer. Its callers speak V2. */
export async function mlserver(): Promise<Contender> {
  const [port, grpc, metrics] = (await freePorts(3)) as [number, number, number];
  const process = await PeerProcess.start([environmentProgram('mlserver', 'mlserver'), 'start', 'mlserver'], {
    cwd: folder,
    env: {
      ...python,
      MLSERVER_HOST: '127.0.0.1',
      MLSERVER_HTTP_PORT: `${port}`,
      MLSERVER_GRPC_PORT: `${grpc}`,
      MLSERVER_METRICS_PORT: `${metrics}`,
    },
    isUp: () => answers(`http://127.0.0.1:${port}/v2/models/bench/ready`),
  });
  const body = (bytes: number) => {
    const [row] = JSON.parse(bodyOf(bytes)).instances as [number[]];
    return JSON.stringify({ inputs: [{ name: 'x', shape: [1, row.length], datatype: 'FP32', data: row }] });
  };
  return frozenBetweenTurns(
    { name: 'MLServer, adaptive batching', path: '/v2/models/bench/infer', body, port },
    process,
  );
}

/** The reference model in BentoML. Its callers name the parameter of a function. */
export async function bentoml(): Promise<Contender> {
  const [port] = (await freePorts(1)) as [number];
  const process = await PeerProcess.start(
    [
      environmentProgram('bentoml', 'bentoml'),
      ...['serve', 'bentoml_reference:Reference', '--host', '127.0.0.1', '--port', `${port}`],
    ],
    {
      cwd: folder,
      env: { ...python, BENTOML_DO_NOT_TRACK: 'True', BENTOML_HOME: join(directory, 'bentoml-home') },
      isUp: () => answers(`http://127.0.0.1:${port}/readyz`),
    },
  );
  const body = (bytes: number) => `{"x":${bodyOf(bytes).slice('{"instances":'.length)}`;
  return frozenBetweenTurns({ name: 'BentoML, adaptive batching', path: '/predict', body, port }, process);
}

/** KServe's own server with a small model that takes rows of so many numbers. */
export async function smallModel(width: number): Promise<{ port: number; process: PeerProcess }> {
  const [port, grpc] = (await freePorts(2)) as [number, number];
  const process = await PeerProcess.start(
    [environmentProgram('kserve'), 'kserve_small.py', '--http_port', `${port}`, '--grpc_port', `${grpc}`],
    {
      cwd: folder,
      env: { ...python, SMALL_WIDTH: `${width}` },
      isUp: () => answers(`http://127.0.0.1:${port}/v2/models/bench/ready`),
    },
  );
  return { port, process };
}

function frozenBetweenTurns(what: Pick<Contender, 'name' | 'path' | 'body' | 'port'>, process: PeerProcess): Contender {
  return {
    ...what,
    pids: [process.pid],
    begin: async () => process.signal('SIGCONT'),
    end: async () => process.signal('SIGSTOP'),
    stop: () => process.stop(),
  };
}

async function nothing(): Promise<void> {}
