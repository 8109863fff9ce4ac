import { createServer as createHttpServer } from 'node:http';
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import * as assert from 'uvu/assert';
import { type Asked, plain, type Written } from '../contract/asked.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { callInfer, type GrpcEdges, withGrpcEdges } from '../contract/grpc-edges.ts';
import { type Rig, withRig } from '../support/companion.ts';
import { answerOf, framed } from '../support/http2-edge.ts';
import { decodeRequest, decodeResponse } from '../support/infer-messages.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

const inferPath = '/inference.GRPCInferenceService/ModelInfer';

function message(value: number, asked: Partial<Asked> = {}): Buffer {
  return (grpcDriver.write({ ...plain, id: `i${value}`, rows: [[value, -value]], ...asked }) as Written).body;
}

/** What the model answers to a message that is alone. */
function alone(body: Buffer): Buffer {
  return grpcDriver.answer(grpcDriver.read(body, undefined)).body;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    if (i === 5000) throw new Error(`in vain: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function metric(rig: Rig, name: string, labels = ''): Promise<number> {
  const page = readMetricsPage((await rig.admin('/metrics')).text, false);
  return page.get(name)?.samples.get(name + labels) ?? 0;
}

/** One call over a connection of its own, with headers as they are given. */
async function rawCall(port: number, body: Buffer, headers: Record<string, string> = {}) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const call = session.request({
    ':method': 'POST',
    ':path': inferPath,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  call.end(body);
  const answer = await answerOf(call);
  session.destroy();
  return answer;
}

/** The status of an answer and what was said with it. */
function saidIn({ headers, trailers }: Awaited<ReturnType<typeof answerOf>>): string {
  const from = headers['grpc-status'] === undefined ? trailers : headers;
  return `${from['grpc-status']} ${from['grpc-message']}`;
}

/** Fills the model, so that what comes waits; returns what lets it go on. */
async function occupy(edges: GrpcEdges): Promise<() => Promise<void>> {
  const release = edges.hold();
  const holders = Array.from({ length: 2 }, (_, i) => callInfer(edges.client, message(-1 - i)).answer);
  await until(() => edges.calls.length >= 1);
  return async () => {
    release();
    await Promise.all(holders);
  };
}

suite('gRPC batching: what is refused', (test) => {
  test('frames and deadlines that are none: INVALID_ARGUMENT with the code', () =>
    withGrpcEdges(grpcDriver, {}, async ({ rig }) => {
      const fine = framed(message(1));
      assert.match(saidIn(await rawCall(rig.port, fine.subarray(0, -1))), /^3 .*\(PL_BODY_TRUNCATED\)$/);
      assert.match(saidIn(await rawCall(rig.port, fine.subarray(0, 3))), /^3 .*\(PL_BODY_TRUNCATED\)$/);
      assert.match(saidIn(await rawCall(rig.port, framed(Buffer.from([0x0a, 5])))), /^3 .*\(PL_BODY_MESSAGE\)$/);
      for (const value of ['1', '123456789S', '1s', '-1S', '1.5S', '']) {
        const said = saidIn(await rawCall(rig.port, fine, { 'grpc-timeout': value }));
        assert.match(said, /^3 .*\(PL_HINT_VALUE\)$/, value);
      }
    }));

  test('a deadline that passes while a call waits: DEADLINE_EXCEEDED, and its neighbours are served', () =>
    withGrpcEdges(grpcDriver, {}, async (edges) => {
      const go = await occupy(edges);
      const stays = callInfer(edges.client, message(2)).answer;
      // By a client that does not end the call itself.
      const said = saidIn(await rawCall(edges.rig.port, framed(message(1)), { 'grpc-timeout': '30m' }));
      assert.match(said, /^4 .*\(PL_DEADLINE_(EXCEEDED|UNMEETABLE)\)$/);
      await go();
      assert.equal((await stays).body, alone(message(2)));
      assert.not.ok(edges.calls.some(({ seen }) => seen.rows.some(([value]) => value === 1)));
    }));

  test('more requests than may wait: UNAVAILABLE', () =>
    withGrpcEdges(grpcDriver, { 'max-waiting': '3' }, async (edges) => {
      const go = await occupy(edges);
      const calls = Array.from({ length: 12 }, (_, i) => callInfer(edges.client, message(i)).answer);
      const full = '{outcome="refused",reason="queue-full"}';
      await until(async () => (await metric(edges.rig, 'paceline_requests_total', full)) >= 8);
      await go();
      const answers = await Promise.all(calls);
      const refused = answers.filter(({ status }) => status !== grpc.status.OK);
      assert.ok(refused.length >= 8 && refused.length < 12, `${refused.length}`);
      for (const { status, message: said } of refused) {
        assert.is(status, grpc.status.UNAVAILABLE);
        assert.match(said, /\(PL_QUEUE_FULL\)$/);
      }
    }));

  test('a model that is down: UNAVAILABLE; one that speaks HTTP/1.1 alone: UNIMPLEMENTED', async () => {
    const http1 = createHttpServer((_request, response) => response.end());
    await new Promise<void>((resolve) => http1.listen(0, '127.0.0.1', resolve));
    const { port } = http1.address() as AddressInfo;
    const flags = { upstream: `http://127.0.0.1:${port}`, slo: '20s' };
    await withRig(flags, async (rig) => {
      assert.match(saidIn(await rawCall(rig.port, framed(message(1)))), /^12 .*\(PL_UPSTREAM_PROTOCOL\)$/);
      http1.closeAllConnections();
      await new Promise((resolve) => http1.close(resolve));
      assert.match(saidIn(await rawCall(rig.port, framed(message(1)))), /^14 .*\(PL_UPSTREAM_UNREACHABLE\)$/);
      assert.is(await metric(rig, 'paceline_upstream_calls_total', '{result="protocol"}'), 1);
      assert.is(await metric(rig, 'paceline_requests_total', '{outcome="failed",reason="PL_UPSTREAM_PROTOCOL"}'), 1);
    });
  });

  test('a model that resets a call: UNAVAILABLE; one that has not begun it is asked once more', async () => {
    let resets = 0;
    let code: number = constants.NGHTTP2_REFUSED_STREAM;
    const model = createHttp2Server();
    model.on('stream', (stream) => {
      stream.on('error', () => {});
      if (resets-- > 0) return stream.close(code);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.resume();
      stream.on('end', () => stream.end(framed(alone(message(1)))));
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const flags = { upstream: `http://127.0.0.1:${(model.address() as AddressInfo).port}`, slo: '20s' };
    await withRig(flags, async (rig) => {
      resets = 1;
      assert.equal((await rawCall(rig.port, framed(message(1)))).body, framed(alone(message(1))));
      assert.is(await metric(rig, 'paceline_upstream_resends_total', '{why="dead-connection"}'), 1);
      resets = 2;
      assert.match(saidIn(await rawCall(rig.port, framed(message(1)))), /^14 .*\(PL_UPSTREAM_RESET\)$/);
      code = constants.NGHTTP2_INTERNAL_ERROR;
      resets = 1;
      assert.match(saidIn(await rawCall(rig.port, framed(message(1)))), /^14 .*\(PL_UPSTREAM_RESET\)$/);
      resets = 0;
      assert.equal((await rawCall(rig.port, framed(message(1)))).body, framed(alone(message(1))));
    });
    await new Promise((resolve) => model.close(resolve));
  });
});

suite('gRPC batching: what is kept', (test) => {
  test('metadata: all of it for who is alone at the model, what holds for all in a batch', () =>
    withGrpcEdges(grpcDriver, {}, async (edges) => {
      edges.begin.set('x-model', 'one');
      edges.end.set('x-cost', '7');
      const metadata = new grpc.Metadata();
      metadata.set('x-own-bin', Buffer.from([0, 255]));
      const single = await callInfer(edges.client, message(1), metadata).answer;
      assert.is(single.headers['x-model'], 'one');
      assert.is(single.headers['x-cost'], '7');
      assert.is(edges.calls[0]?.headers['x-own-bin'], String(Buffer.from([0, 255])));
      const go = await occupy(edges);
      const calls = Array.from({ length: 6 }, (_, i) => callInfer(edges.client, message(i)).answer);
      await until(() => edges.rig.companion.scheduler.waiting >= 6);
      await go();
      const answers = await Promise.all(calls);
      const batched = edges.calls.some(({ seen }) => seen.rows.length > 1);
      assert.ok(batched);
      for (const { headers } of answers) {
        assert.match(String(headers['server-timing']), /batch;desc="\d+"/);
        const shared = !/batch;desc="1"/.test(String(headers['server-timing']));
        assert.is(headers['x-model'], shared ? undefined : 'one');
        assert.is(headers['x-cost'], shared ? undefined : '7');
      }
    }));

  test('the model’s own errors reach their caller as they are', () =>
    withGrpcEdges(grpcDriver, {}, async (edges) => {
      edges.refuse = () => grpc.status.PERMISSION_DENIED;
      const answer = await callInfer(edges.client, message(1)).answer;
      assert.is(answer.status, grpc.status.PERMISSION_DENIED);
      assert.is(answer.message, 'the model refuses: 50 %');
      const reason = '{outcome="failed",reason="upstream-grpc-7"}';
      assert.is(await metric(edges.rig, 'paceline_requests_total', reason), 1);
      assert.is(await metric(edges.rig, 'paceline_upstream_calls_total', '{result="grpc-7"}'), 1);
    }));

  test('a deadline goes on to the model with what is left of it, and of several the longest', () =>
    withGrpcEdges(grpcDriver, {}, async (edges) => {
      const call = (value: number, ms: number | undefined) =>
        callInfer(edges.client, message(value), undefined, ms === undefined ? {} : { deadline: Date.now() + ms })
          .answer;
      await call(1, 30_000);
      assert.ok(Number(edges.calls[0]?.headers['x-left-ms']) <= 30_000);
      await call(2, undefined);
      assert.is(edges.calls[1]?.headers['x-left-ms'], '');
      const go = await occupy(edges);
      const before = edges.calls.length;
      const calls = [call(3, 30_000), call(4, 50_000)];
      await until(() => edges.rig.companion.scheduler.waiting >= 2);
      await go();
      await Promise.all(calls);
      for (const { seen, headers } of edges.calls.slice(before)) {
        if (seen.rows.length < 2 || seen.rows.some(([value]) => (value as number) < 0)) continue;
        const left = Number(headers['x-left-ms']);
        assert.ok(left > 30_000 && left <= 50_000, `${left}`);
      }
    }));

  test('a caller who cancels leaves the queue; one who is alone at the model ends the call there', () =>
    withGrpcEdges(grpcDriver, {}, async (edges) => {
      const release = edges.hold();
      const first = callInfer(edges.client, message(1));
      await until(() => edges.calls.length === 1);
      first.cancel();
      assert.is((await first.answer).status, grpc.status.CANCELLED);
      await until(() => edges.cancelled.count === 1);
      release();
      const go = await occupy(edges);
      const leaver = callInfer(edges.client, message(2));
      const stays = callInfer(edges.client, message(3)).answer;
      await until(() => edges.rig.companion.scheduler.waiting >= 2);
      leaver.cancel();
      await leaver.answer;
      await until(
        async () => (await metric(edges.rig, 'paceline_requests_total', '{outcome="left",reason="none"}')) === 2,
      );
      await go();
      assert.equal((await stays).body, alone(message(3)));
      assert.not.ok(edges.calls.some(({ seen }) => seen.rows.some(([value]) => value === 2)));
    }));

  test('merged messages stay below the cap; a server that takes less is given less', () =>
    withGrpcEdges(grpcDriver, { 'grpc-message-max': '64KiB' }, async (edges) => {
      const rows = [Array.from({ length: 4000 }, (_, i) => i)];
      const body = (i: number) => message(i, { rows, id: `c${i}` });
      const go = await occupy(edges);
      const calls = Array.from({ length: 20 }, (_, i) => callInfer(edges.client, body(i)).answer);
      await until(() => edges.rig.companion.scheduler.waiting >= 20);
      await go();
      for (const [i, answer] of (await Promise.all(calls)).entries()) assert.ok(answer.body.equals(alone(body(i))));
      assert.ok(edges.calls.every((call) => call.body.length <= 65_536));
      assert.ok(
        edges.calls.some(({ seen }) => seen.rows.length === 4),
        'four of 16 KB fit',
      );
      // RESOURCE_EXHAUSTED is about the size only where the server says so.
      edges.refuse = ({ seen }) => (seen.rows.length > 1 ? grpc.status.RESOURCE_EXHAUSTED : undefined);
      const again = await occupy(edges);
      const more = Array.from({ length: 4 }, (_, i) => callInfer(edges.client, body(i)).answer);
      await until(() => edges.rig.companion.scheduler.waiting > 0);
      await again();
      const statuses = (await Promise.all(more)).map(({ status }) => status);
      assert.ok(statuses.every((status) => status === grpc.status.OK || status === grpc.status.RESOURCE_EXHAUSTED));
    }));

  test('a server that says a message is too large gets halves, and everybody an answer', async () => {
    const large = (i: number) => message(i, { rows: [Array.from({ length: 30_000 }, (_, j) => j)], id: `c${i}` });
    const server = new grpc.Server({ 'grpc.max_receive_message_length': 200_000 });
    let held: (() => void)[] | undefined = [];
    const infer = ({ request }: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      const go = () => answer(null, alone(request));
      if (held) held.push(go);
      else go();
    };
    server.register(
      inferPath,
      infer as never,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      'unary',
    );
    const port = await new Promise<number>((resolve) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
    });
    const flags = { upstream: `http://127.0.0.1:${port}`, slo: '20s', 'late-timeout': '60s', patience: '0' };
    try {
      await withRig(flags, async (rig) => {
        const client = new grpc.Client(`127.0.0.1:${rig.port}`, grpc.credentials.createInsecure());
        const calls = Array.from({ length: 8 }, (_, i) => callInfer(client, large(i)).answer);
        await until(() => (held?.length ?? 0) > 0);
        const release = held ?? [];
        held = undefined;
        for (const go of release) go();
        for (const [i, answer] of (await Promise.all(calls)).entries()) {
          assert.is(answer.status, grpc.status.OK, answer.message);
          assert.ok(answer.body.equals(alone(large(i))));
        }
        // Whether so large messages are joined at all is the kernel's decision.
        const joined = (await metric(rig, 'paceline_batch_items', '_count')) < calls.length;
        assert.is((await metric(rig, 'paceline_upstream_resends_total', '{why="halve"}')) > 0, joined);
        client.close();
      });
    } finally {
      server.forceShutdown();
    }
  });

  test('every answer bears the id of its request, errors of ours too', () =>
    withGrpcEdges(grpcDriver, {}, async ({ rig }) => {
      const fine = framed(message(1));
      const answered = await rawCall(rig.port, fine, { 'x-request-id': 'mine' });
      assert.is(answered.trailers['grpc-status'], '0');
      assert.is(answered.headers['x-request-id'], 'mine');
      const refused = await rawCall(rig.port, fine.subarray(0, 3), { 'x-request-id': 'ours' });
      assert.match(saidIn(refused), /PL_BODY_TRUNCATED/);
      assert.is(refused.headers['x-request-id'], 'ours');
    }));

  test('a variant’s caller whose deadline is none is served where nothing is batched', () =>
    withGrpcEdges(
      grpcDriver,
      { 'variant-of': 'resnet', 'model-name': 'm', mode: 'off' },
      async ({ rig }) => {
        const body = framed(message(1, { model: 'resnet' }));
        assert.match(saidIn(await rawCall(rig.port, body, { 'grpc-timeout': 'soon' })), /^0 /);
      },
      'm',
    ));

  test('a variant answers to the group’s name in messages, batched, alone and passing', () =>
    withGrpcEdges(
      grpcDriver,
      { 'variant-of': 'resnet', 'model-name': 'resnet-small.v2', 'max-batch-size': '4' },
      async (edges) => {
        const go = await occupy(edges);
        const asked = (i: number): Partial<Asked> => ({
          model: i % 2 ? 'resnet' : 'resnet-small.v2',
          rows: Array.from({ length: i === 9 ? 6 : 1 }, () => [i, -i]),
        });
        const calls = Array.from({ length: 10 }, (_, i) => callInfer(edges.client, message(i, asked(i))).answer);
        await until(() => edges.rig.companion.scheduler.waiting >= 8);
        await go();
        for (const [i, answer] of (await Promise.all(calls)).entries()) {
          assert.is(answer.status, grpc.status.OK, answer.message);
          const reply = decodeResponse(answer.body);
          assert.is(reply.model_name, asked(i).model);
          assert.is(reply.id, `i${i}`);
        }
        const counted = framed(message(50, { model: 'resnet' }));
        const { body: got } = await rawCall(edges.rig.port, counted, { 'content-length': String(counted.length) });
        assert.is(decodeResponse(got.subarray(5)).model_name, 'resnet');
        for (const { body, seen } of edges.calls) {
          const { model_name: name } = decodeRequest(body);
          assert.is(name, seen.rows.some(([value]) => (value as number) < 0) ? 'm' : 'resnet-small.v2');
        }
      },
      'resnet-small.v2',
    ));
});

suite('gRPC beside batching: what passes', (test) => {
  test('compressed messages, large ones and several items too many, each as it is', () =>
    withGrpcEdges(grpcDriver, { 'max-batch-size': '8' }, async (edges) => {
      const client = new grpc.Client(`127.0.0.1:${edges.rig.port}`, grpc.credentials.createInsecure(), {
        'grpc.default_compression_algorithm': 2,
        'grpc.max_receive_message_length': 64 * 1024 * 1024,
      });
      const zipped = await callInfer(client, message(1)).answer;
      assert.equal(zipped.body, alone(message(1)));
      client.close();
      const large = message(2, { rows: [Array.from({ length: 1_200_000 }, (_, i) => i)] });
      assert.ok((await callInfer(edges.client, large).answer).body.equals(alone(large)));
      const many = message(3, { rows: Array.from({ length: 9 }, () => [3, 3]) });
      assert.equal((await callInfer(edges.client, many).answer).body, alone(many));
      assert.equal((await callInfer(edges.client, message(4, { parameters: { sequence_id: 1 } })).answer).status, 0);
      for (const [why, count] of [
        ['unknown-fields', 2],
        ['large-body', 1],
        ['many-items', 1],
      ] as const) {
        assert.is(await metric(edges.rig, 'paceline_pass_through_total', `{why="${why}"}`), count, why);
      }
      // They have an objective all the same.
      await until(async () => (await metric(edges.rig, 'paceline_slo_requests_total', '{met="true"}')) === 4);
      edges.refuse = () => grpc.status.INTERNAL;
      assert.is((await callInfer(edges.client, many).answer).status, grpc.status.INTERNAL);
      await until(async () => (await metric(edges.rig, 'paceline_slo_requests_total', '{met="false"}')) === 1);
    }));

  test('other methods of the service, streams among them', () =>
    withGrpcEdges(grpcDriver, {}, async ({ client, server }) => {
      const same = (bytes: Buffer) => bytes;
      const live = (_call: unknown, answer: grpc.sendUnaryData<Buffer>) => answer(null, Buffer.from([8, 1]));
      server.register('/inference.GRPCInferenceService/ServerLive', live as never, same, same, 'unary');
      const echo = (stream: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        stream.on('data', (each: Buffer) => stream.write(each));
        stream.on('end', () => stream.end());
      };
      server.register('/inference.GRPCInferenceService/ModelStreamInfer', echo as never, same, same, 'bidi');
      const reply = await new Promise<Buffer | undefined>((resolve) => {
        client.makeUnaryRequest(
          '/inference.GRPCInferenceService/ServerLive',
          same,
          same,
          Buffer.alloc(0),
          (_e, value) => resolve(value),
        );
      });
      assert.equal(reply, Buffer.from([8, 1]));
      const stream = client.makeBidiStreamRequest('/inference.GRPCInferenceService/ModelStreamInfer', same, same);
      for (const each of ['a', 'b']) {
        const next = new Promise<Buffer>((resolve) => stream.once('data', resolve));
        stream.write(Buffer.from(each));
        assert.is((await next).toString(), each);
      }
      stream.end();
      stream.resume();
      await new Promise((resolve) => stream.on('end', resolve));
    }));

  test('everything in modes off and advise, whose advice is about batches', async () => {
    for (const mode of ['off', 'advise']) {
      await withGrpcEdges(grpcDriver, { mode }, async (edges) => {
        const calls = Array.from({ length: 8 }, (_, i) => callInfer(edges.client, message(i)).answer);
        for (const [i, answer] of (await Promise.all(calls)).entries()) assert.equal(answer.body, alone(message(i)));
        assert.is(edges.calls.length, 8);
        await until(
          async () => (await metric(edges.rig, 'paceline_requests_total', '{outcome="passed",reason="grpc-0"}')) === 8,
        );
        const advised = await metric(edges.rig, 'paceline_pass_through_total', '{why="advise"}');
        assert.is(advised, mode === 'advise' ? 8 : 0);
        await until(async () => (await metric(edges.rig, 'paceline_slo_requests_total', '{met="true"}')) === advised);
      });
    }
  });
});
