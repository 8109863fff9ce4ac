import { connect } from 'node:net';
import { Chaos, chaosFlags } from '../chaos/chaos.ts';
import { CompanionProcess, type ProcessState, settled } from '../support/companion-process.ts';
import { readHttpReply } from '../support/http-reply.ts';
import { chance } from '../support/mutations.ts';
import { httpPayload } from './http-payloads.ts';
import { http2Payload } from './http2-payloads.ts';
import type { FuzzResult, FuzzSettings } from './settings.ts';

/** Connections at once, and callers beside them who do nothing wrong. */
const connections = 24;
const callers = 12;
/** Memory is compared from the first part of so many on, where so many connections were tried. */
const warmingShare = 4;
const judgedRuns = 10_000;
const growthMax = 0.05;
/** Handles and files that may be kept: connections to the model, and a timer. */
const keptMax = 24;
/** A session that is silent is found out after some time. */
const settleMs = 60_000;
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
  const goesOn = () => performance.now() < until && findings.length < findingsMax && !companion.gone;
  const fuzzTo = async (runsTo: number, secondsMax: number) => {
    let more = true;
    const ends = performance.now() + secondsMax * 1000;
    const sound = chaos.callWhile(companion, () => more);
    const one = async () => {
      while (done < runsTo && goesOn() && performance.now() < ends) {
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
  };
  const held: string[] = [];
  try {
    const before = await companion.state();
    await fuzzTo(runs / warmingShare, seconds / warmingShare);
    const warm = await settled(companion, before, keptMax, settleMs);
    await fuzzTo(runs, seconds);
    const after = await settled(companion, before, keptMax, settleMs);
    const line = (what: string, from: number, to: number) => {
      held.push(`${what}: ${from} before, ${to} after`);
      return held.at(-1) as string;
    };
    const [files, handles] = [line('files', before.files, after.files), line('handles', before.handles, after.handles)];
    const bytes = line('heap and external bytes without compiled code', heldBy(warm), heldBy(after));
    line('compiled code', warm.code, after.code);
    if (after.files > before.files + keptMax) findings.push(`connections are not let go: ${files}`);
    if (after.handles > before.handles + keptMax) findings.push(`handles are not let go: ${handles}`);
    // A short run has hardly built up what is built up once.
    if (done >= judgedRuns && heldBy(after) > heldBy(warm) * (1 + growthMax)) findings.push(`memory grows: ${bytes}`);
  } catch (error) {
    findings.push(`${error}`);
  } finally {
    companion.stop();
    await chaos.upstream.stop();
  }
  const { ledger } = chaos;
  if (ledger.wrongs > 0) findings.push(`${ledger.wrongs} sound requests or calls were wrong:`, ...ledger.wrong);
  for (const line of held) console.log(`     ${line}`);
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

/** Bytes that are held for requests and connections, as far as V8 can tell: compiled code is not. */
function heldBy({ heapUsed, external, code }: ProcessState): number {
  return heapUsed + external - code;
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
