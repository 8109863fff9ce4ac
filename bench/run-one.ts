// Runs one benchmark and sends its report to the parent: a process of its own, so that no benchmark inherits another's
// heap, compiled code or sockets. `node --import tsx bench/run-one.ts NAME`, started by bench/run.ts.
import { pathToFileURL } from 'node:url';
import { type BenchModule, moduleOf } from './modules.ts';

const name = process.argv[2] ?? '';
const file = moduleOf(name);
if (!file || !process.send) throw new Error('started by bench/run.ts with the name of a benchmark');
const { run } = (await import(pathToFileURL(file).href)) as BenchModule;
const report = await run((text) => console.error(`  ${text}`));
process.send(report, () => process.disconnect());
