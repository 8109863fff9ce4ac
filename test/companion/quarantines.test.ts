import type { IncomingMessage } from 'node:http';
import * as assert from 'uvu/assert';
import { LaneKeys } from '../../src/companion/batching/lane-keys.ts';
import { type Lane, LaneTable } from '../../src/companion/batching/lanes.ts';
import { Quarantines } from '../../src/companion/batching/quarantines.ts';
import { nameIn } from '../../src/protocol/message-name.ts';
import { CompanionMetrics } from '../../src/telemetry/companion-metrics.ts';
import { RareWarnings } from '../../src/telemetry/log.ts';
import { plain, type Written } from '../contract/asked.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { noGauges } from '../support/no-gauges.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';

/** Lanes of one URL, each of a model and of a form of rows. */
class Lanes {
  #rows = 0;
  readonly #keys = new LaneKeys(new Set());
  readonly #table = new LaneTable(() => this.#rows++);

  open(model: string, signature: string): Lane {
    const { body } = grpcDriver.write({ ...plain, model }) as Written;
    const request = {
      rawHeaders: [],
      url: '/inference.GRPCInferenceService/ModelInfer',
      socket: {},
      httpVersionMajor: 2,
    };
    const key = this.#keys.keyOf(request as unknown as IncomingMessage, signature, nameIn(body));
    return this.#table.lane(key) as Lane;
  }
}

suite('quarantines', (test) => {
  test('three lanes that cannot be split speak for their model, and not for another one at the same URL', () => {
    const lanes = new Lanes();
    const scheduler = { limitLane: () => {} };
    const warnings = new RareWarnings(new QuietLog());
    const metrics = new CompanionMetrics(noGauges);
    const quarantines = new Quarantines({ metrics, warnings, scheduler });
    for (const form of ['a', 'b', 'c']) {
      assert.is(quarantines.sharersMax(lanes.open('broken', form)), Number.POSITIVE_INFINITY);
      quarantines.begin(lanes.open('broken', form), 'unsplittable', 'too few predictions');
    }
    assert.is(quarantines.sharersMax(lanes.open('broken', 'd')), 1);
    assert.is(quarantines.sharersMax(lanes.open('sound', 'd')), Number.POSITIVE_INFINITY);
  });

  test('a message whose name is not first, or that is long, has a target all the same', () => {
    assert.is(nameIn(Buffer.from([0x1a, 1, 0x61])), '');
    assert.is(nameIn(Buffer.alloc(0)), '');
    assert.is(
      nameIn(Buffer.from([0x0a, 0x82, 0x00, 0x61, 0x62, 0x1a, 0])),
      'ab',
      'a length of more bytes than it needs',
    );
    const long = Buffer.concat([Buffer.from([0x0a, 0x90, 0x03]), Buffer.alloc(400, 'x')]);
    assert.is(nameIn(long), 'x'.repeat(256));
  });
});
