// needs: kserve, mlserver
import * as assert from 'uvu/assert';
import { run } from '../cluster/command.ts';
import { suite } from '../support/suite.ts';
import { environmentProgram } from './python.ts';
import { sources } from './settings.ts';
import { type Paceline, startCompanion } from './support/paceline.ts';
import { type PeerServer, startKServe, startMlserver } from './support/servers.ts';

/** What every client got, by client and by what was asked. */
type Said = Record<string, Record<string, unknown>>;

async function ask(kind: PeerServer['kind'], rest: number, grpc: number): Promise<Said> {
  const said: Said = {};
  for (const script of ['clients/ask_triton.py', 'clients/ask_kserve.py']) {
    const text = await run(environmentProgram('kserve'), [script], {
      cwd: sources,
      env: {
        ...process.env,
        PYTHONDONTWRITEBYTECODE: '1',
        PEER_SERVER: kind,
        PEER_REST: `http://127.0.0.1:${rest}`,
        PEER_GRPC: `127.0.0.1:${grpc}`,
      },
    });
    Object.assign(said, JSON.parse(text));
  }
  return said;
}

for (const [title, start] of [
  ["KServe's server", startKServe],
  ['MLServer', startMlserver],
] as const) {
  suite(`tritonclient and KServe's own client at ${title}`, (test) => {
    let server: PeerServer;
    let companions: { rest: Paceline; grpc: Paceline };
    let direct: Said;
    let through: Said;
    const stops: (() => Promise<void>)[] = [];

    test.before(async () => {
      server = await start();
      stops.push(() => server.stop());
      const probe = JSON.stringify({ tcpSocket: { host: '127.0.0.1', port: server.grpc } });
      companions = {
        rest: await startCompanion(server.rest),
        grpc: await startCompanion(server.grpc, '--readiness-probe', probe),
      };
      stops.push(
        () => companions.rest.stop(),
        () => companions.grpc.stop(),
      );
      direct = await ask(server.kind, server.rest, server.grpc);
      through = await ask(server.kind, companions.rest.port, companions.grpc.port);
    });
    test.after(async () => {
      for (const stop of stops.reverse()) await stop();
    });

    test('every client gets what it gets without Paceline', () => {
      assert.equal(Object.keys(through), Object.keys(direct));
      for (const [client, answers] of Object.entries(direct)) {
        for (const [what, answer] of Object.entries(answers)) {
          assert.equal(through[client]?.[what], answer, `${client}: ${what}`);
        }
      }
      const all = Object.values(direct).flatMap((answers) => Object.values(answers));
      const failed = all.filter((answer) => JSON.stringify(answer).includes('"error"')).length;
      console.log(`figure: ${Object.keys(direct).length} clients, ${all.length} answers, ${failed} of them refusals`);
      assert.ok(all.length > 300 && failed > 5 && failed < all.length / 3, `${failed} of ${all.length} are refusals`);
    });

    test('and batches form', async () => {
      for (const [name, companion] of Object.entries(companions)) {
        const rows = await companion.metric('paceline_batch_items_sum');
        const batches = await companion.metric('paceline_batch_items_count');
        console.log(`figure: ${name}: ${(rows / batches).toFixed(1)} rows a batch`);
        assert.ok(rows / batches > 1, `${rows} rows in ${batches} batches`);
      }
    });
  });
}
