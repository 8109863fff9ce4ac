// Preloaded into a process under test: answers `{ask}` over IPC with CPU time, memory and the delay of the event loop.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 1 });
process.on('message', (message) => {
  if (message?.ask === 'reset') {
    delay.reset();
    delay.enable();
    return;
  }
  if (message?.ask !== 'measure') return;
  const { user, system } = process.cpuUsage();
  process.send({
    cpuUs: user + system,
    rssBytes: process.memoryUsage.rss(),
    delayP999Ms: Math.max(0, delay.percentile(99.9) / 1e6 - 1),
    delayMaxMs: Math.max(0, delay.max / 1e6 - 1),
  });
});
// The channel alone does not keep the process alive.
process.channel?.unref();
