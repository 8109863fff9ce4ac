import { connect } from 'node:net';
import { Chaos, chaosFlags } from '../chaos/chaos.ts';
import { CompanionProcess, type ProcessState } from '../support/companion-process.ts';
import { readHttpReply } from '../support/http-reply.ts';
import { growthLine, growths } from '../support/memory-verdict.ts';
import { chance } from '../support/mutations.ts';
import { httpPayload } from './http-payloads.ts';
import { http2Payload } from './http2-payloads.ts';
import type { FuzzResult, FuzzSettings } from './settings.ts';

/** Connections at once, and callers beside them who do nothing wrong. */
const connections = 24;
const callers = 12;
/** Memory is looked at after so many parts of the run. */
const parts = 12;
/** How long a connection is kept that nobody closes; ms. */
const patienceMs = 40;
const findingsMax = 20;

/**
 * Connections that say odd things to a companion, with sound traffic beside them: the companion lives, its memory does not
 * grow, every sound request gets its own answer, and what the model sees is well-formed and comes from the companion.
 */
export async function fuzzSockets(
  name: 'http' | 'grpc',
  { runs, seconds, seed, progress }: FuzzSettings,
): Promise<FuzzResult> {
  const findings: string[] = [];
  const replies = new Map<string, number>();
  let [done, atModel] = [0, 0];
  const chaos = new Chaos(seed, {
    ...{ faultShare: 0, mannerShare: 0, callers },
    stray: (call) => {
      atModel++;
      // Whatever came through the companion bears an id: what was hidden in a body does not.
      if (call.headers['x-request-id'] === undefined) findings.push(`the model saw a call without an id: ${call.url}`);
    },
    malformed: (error) => findings.push(`what the model got was not well-formed: ${error}`),
  });
  const upstream = `http://127.0.0.1:${await chaos.upstream.start()}`;
  const companion = await CompanionProcess.start(['--upstream', upstream, ...chaosFlags]);
  progress(
    () =>
      `${name}: ${done} of ${runs} connections, ${chaos.ended} sound requests beside them, ${findings.length} findings (seed ${seed})`,
  );
  const until = performance.now() + seconds * 1000;
  const states: ProcessState[] = [];
  const goesOn = () => performance.now() < until && findings.length < findingsMax && !companion.gone;
  try {
    for (let part = 1; part <= parts; part++) {
      let more = true;
      const partEnds = performance.now() + (seconds * 1000) / parts;
      const sound = chaos.callWhile(companion, () => more);
      const one = async () => {
        while (done < (runs * part) / parts && goesOn() && performance.now() < partEnds) {
          const below = chance(seed * 7919 + done++);
          // Seeds that follow each other begin alike.
          for (let i = 0; i < 4; i++) below(2);
          const payload = name === 'http' ? httpPayload(below) : http2Payload(below);
          const said = await say(companion.port, payload, below);
          if (name === 'http') note(said, payload, replies, findings);
        }
      };
      await Promise.all(Array.from({ length: connections }, one));
      more = false;
      await sound;
      if (companion.gone) break;
      states.push(await companion.state());
    }
  } finally {
    companion.stop();
    await chaos.upstream.stop();
  }
  const { ledger } = chaos;
  if (companion.gone && states.length < parts) findings.push(companion.gone);
  if (ledger.wrongs > 0) findings.push(`${ledger.wrongs} sound requests or calls were wrong:`, ...ledger.wrong);
  const memory = states.length === parts ? growths(states) : [];
  for (const growth of memory) {
    console.log(growthLine(growth));
    // A short run has no third in which everything has been built up.
    if (!growth.fits && runs >= 10_000 && done > runs / 2) findings.push(`it holds more: ${growthLine(growth)}`);
  }
  return {
    name,
    runs: done,
    findings,
    figures: [
      ['sound requests beside them', chaos.ended],
      ['calls that reached the model from fuzzed connections', atModel],
      ...[...replies].sort(([one], [other]) => one.localeCompare(other)),
    ],
  };
}

/** Says bytes, in one piece or in a few, and returns what came back until the connection was closed or nothing came for a while. */
function say(port: number, payload: Buffer, below: (n: number) => number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const cut = below(3) === 0 ? below(payload.length + 1) : payload.length;
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(payload.subarray(0, cut));
      if (cut < payload.length) setTimeout(() => socket.write(payload.subarray(cut)), 2);
    });
    let timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), patienceMs);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
  });
}

/** Counts the replies on a connection: what the companion says is HTTP, whatever it was told. */
function note(said: Buffer, payload: Buffer, replies: Map<string, number>, findings: string[]): void {
  const count = (what: string): void => {
    replies.set(what, (replies.get(what) ?? 0) + 1);
  };
  if (said.length === 0) return count('connections without a reply');
  // A tunnel speaks its own protocol, and HTTP/2 is the other target's.
  if (/upgrade|PRI \*/i.test(payload.toString('latin1')) || /^HEAD|\nHEAD/.test(payload.toString('latin1'))) {
    return count('connections that were upgraded, or asked for heads');
  }
  try {
    for (let rest = said; rest.length > 0; ) {
      const reply = readHttpReply(rest);
      if (!reply) return count('connections that were left amid a reply');
      count(`replies with ${reply.status}`);
      rest = rest.subarray(reply.length);
    }
  } catch (error) {
    findings.push(`${error}: ${JSON.stringify(said.toString('latin1', 0, 300))} to ${payload.toString('base64')}`);
  }
}
