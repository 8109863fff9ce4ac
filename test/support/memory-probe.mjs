// Preloaded into the companion under test: answers over IPC with memory after a collection, and with what is open.
import { getHeapCodeStatistics } from 'node:v8';

process.on('message', (message) => {
  if (message?.ask !== 'state') return;
  // What a first collection frees may hold something that only a second one finds.
  for (let i = 0; i < 3; i++) globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  const { code_and_metadata_size, bytecode_and_metadata_size } = getHeapCodeStatistics();
  const code = code_and_metadata_size + bytecode_and_metadata_size;
  process.send({ heapUsed, external, rss, code, handles: process.getActiveResourcesInfo().length });
});
process.channel?.unref();
