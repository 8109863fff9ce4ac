import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { until } from './edge.ts';

/** A port that takes no connection any more: its process is stopped, and as many wait as may. */
export interface FullPort {
  readonly port: number;
  stop(): void;
}

const listens = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
  process.send(this.address().port);
});`;

export async function fullPort(): Promise<FullPort> {
  const child = spawn(process.execPath, ['-e', listens], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [port] = (await once(child, 'message')) as [number];
  child.kill('SIGSTOP');
  // The system keeps one more than it was told to, and lets further ones wait for an answer.
  const waiting: Socket[] = Array.from({ length: 6 }, () => connect(port, '127.0.0.1'));
  for (const each of waiting) each.on('error', () => {});
  await until(() => waiting.filter(({ connecting }) => !connecting).length >= 2, 'two that wait');
  return {
    port,
    stop: () => {
      for (const each of waiting) each.destroy();
      child.kill('SIGKILL');
    },
  };
}
