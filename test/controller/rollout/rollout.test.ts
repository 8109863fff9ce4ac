import * as assert from 'uvu/assert';
import { RolloutReason } from '../../../src/kernels/rollout-evidence.ts';
import { KServeTraffic } from '../../support/kserve-traffic.ts';
import { RolloutDrive } from '../../support/rollout-drive.ts';
import { suite } from '../../support/suite.ts';

const good = { late: 0.005 };
const bad = { late: 0.6 };

function drive(models: Record<string, object>, more: object = {}): RolloutDrive {
  const kserve = new KServeTraffic('one');
  const driven = new RolloutDrive(kserve, { models: { one: good, ...models } as never, ...more });
  driven.run(3);
  return driven;
}

suite("the double of KServe's bookkeeping does what KServe does", (test) => {
  test('everything to the newest revision without the field', () => {
    const kserve = new KServeTraffic('one');
    kserve.webhook = false;
    kserve.deploy('two');
    kserve.reconcileAll();
    assert.equal(kserve.serving(), { two: 100 });
    assert.is(kserve.status.latestRolledoutRevision, 'm-2');
    assert.is(kserve.status.previousRolledoutRevision, 'm-1');
  });

  test('a value below 100 without a new revision brings back the model before', () => {
    const kserve = new KServeTraffic('one');
    kserve.webhook = false;
    kserve.deploy('two');
    kserve.reconcileAll();
    kserve.write(10);
    kserve.reconcileAll();
    assert.equal(kserve.serving(), { two: 10, one: 90 });
  });

  test('a split at 0 of a new revision, and its promotion', () => {
    const kserve = new KServeTraffic('one');
    kserve.deploy('two');
    kserve.reconcileAll();
    assert.equal(kserve.serving(), { one: 100 });
    assert.is(kserve.status.latestRolledoutRevision, 'm-1');
    kserve.write(100);
    kserve.reconcileAll();
    assert.equal(kserve.serving(), { two: 100 });
    assert.is(kserve.status.latestRolledoutRevision, 'm-2');
  });
});

suite('a rollout leaves alone', (test) => {
  test('a service at rest, for any time', () => {
    const driven = drive({});
    driven.run(600);
    assert.equal(driven.writes, []);
    assert.equal(driven.reasons, ['Idle']);
  });

  test('services without consent and Standard mode, whose successors keep their replicas all the same', () => {
    for (const view of [{ consent: false }, { deploymentMode: 'standard' as const }]) {
      const kserve = new KServeTraffic('one');
      kserve.webhook = false;
      const driven = new RolloutDrive(kserve, { models: {}, view: { ...view, plannedReplicas: 20 } });
      kserve.slow.add('m-2');
      kserve.deploy('two');
      kserve.reconcileAll();
      assert.equal(driven.look().floors, [
        { revision: 'm-2', minReplicas: 20, why: 'successor' },
        { revision: 'm-1', minReplicas: 20, why: 'wayBack' },
      ]);
      driven.run(100);
      assert.equal(driven.writes, []);
    }
  });

  test('a successor keeps its replicas also between being Ready and having its traffic', () => {
    const kserve = new KServeTraffic('one');
    kserve.webhook = false;
    const driven = new RolloutDrive(kserve, { models: {}, view: { consent: false, plannedReplicas: 20 } });
    kserve.slow.add('m-2');
    kserve.deploy('two');
    kserve.reconcileAll();
    const before = driven.look().floors;
    // Ready, and KServe says so, before the Route has followed.
    kserve.makeReady('m-2');
    for (const name of ['kubelet', 'configuration', 'service', 'kserve', 'service', 'kserve'] as const) {
      kserve.reconcilers[name]();
      assert.equal(driven.look().floors, before, name);
    }
    assert.is(kserve.status.latestReadyRevision, 'm-2');
    kserve.reconcileAll();
    assert.equal(kserve.serving(), { two: 100 });
    assert.equal(driven.look().floors, []);
    // A Service whose traffic is pinned gives the newest revision none: nobody waits for it.
    kserve.status.traffic = [{ revisionName: 'm-1', latestRevision: false, percent: 100 }];
    assert.equal(driven.look().floors, []);
  });

  test('a revision that came without a first step: KServe gives it everything, and says so', () => {
    const driven = drive({ two: bad });
    driven.kserve.webhook = false;
    driven.kserve.slow.add('m-2');
    driven.kserve.deploy('two');
    driven.run(5);
    assert.is(driven.last?.reason, RolloutReason.Unwalked);
    driven.kserve.makeReady('m-2');
    driven.run(60);
    assert.equal(driven.writes, []);
    assert.equal(driven.kserve.serving(), { two: 100 });
  });
});

suite('a rollout', (test) => {
  test('promotes a good revision, by steps', () => {
    const driven = drive({ two: good });
    driven.kserve.deploy('two');
    driven.until(RolloutReason.ProvenGood);
    driven.run(5);
    assert.equal(driven.writes, [5, 10, 25, 50, 100]);
    assert.equal(driven.kserve.serving(), { two: 100 });
    assert.is(driven.kserve.status.latestRolledoutRevision, 'm-2');
    const writes = driven.writes.length;
    driven.run(300);
    assert.is(driven.writes.length, writes);
  });

  test('rolls back one that misses, fails, costs or is worth less, and says which', () => {
    const cases = [
      [{ late: 0.4 }, {}, RolloutReason.MissesMore],
      [{ late: 0.005, failed: 0.3 }, {}, RolloutReason.FailsMore],
      [{ late: 0.005, baseMs: 150, itemMs: 15 }, {}, RolloutReason.CostsMore],
      [{ ...good, accuracy: 0.8 }, { accuracyFloor: 0.9 }, RolloutReason.BelowFloor],
    ] as const;
    for (const [two, view, reason] of cases) {
      const driven = drive({ two }, { view });
      driven.kserve.deploy('two');
      driven.until(reason);
      driven.run(30);
      assert.equal(driven.kserve.serving(), { one: 100 }, RolloutReason[reason]);
      assert.is(driven.kserve.status.latestRolledoutRevision, 'm-1');
      assert.is(driven.last?.state?.phase, 'rolledBack');
      const writes = driven.writes.length;
      driven.run(300);
      assert.is(driven.writes.length, writes);
    }
  });

  test('takes three models in a row, good, bad and good, each against the last that was rolled out', () => {
    const driven = drive({ two: good, three: bad, four: good });
    driven.kserve.deploy('two');
    driven.until(RolloutReason.ProvenGood);
    driven.run(5);
    driven.kserve.deploy('three');
    driven.until(RolloutReason.MissesMore);
    driven.run(5);
    assert.equal(driven.kserve.serving(), { two: 100 });
    let toBad = 0;
    driven.kserve.slow.add('m-4');
    driven.kserve.deploy('four');
    driven.run(20, () => {
      toBad = Math.max(toBad, driven.kserve.serving().three ?? 0);
    });
    driven.kserve.makeReady('m-4');
    assert.is(toBad, 0, 'the bad model is "latest" while the next one starts');
    driven.until(RolloutReason.ProvenGood);
    driven.run(5);
    assert.equal(driven.kserve.serving(), { four: 100 });
    assert.is(driven.kserve.status.previousRolledoutRevision, 'm-2');
  });

  test('begins again when the model is edited in the middle of a walk', () => {
    const driven = drive({ two: good, three: bad });
    driven.kserve.deploy('two');
    driven.untilWritten(25);
    driven.run(8);
    driven.kserve.deploy('three');
    driven.run(3);
    assert.equal(driven.kserve.serving(), { one: 100 });
    assert.is(driven.last?.state?.candidate, 'm-3');
    assert.is(driven.last?.state?.reverts, 0);
    driven.until(RolloutReason.MissesMore);
    driven.run(3);
    assert.equal(driven.kserve.serving(), { one: 100 });
  });

  test('does not take an edit whose revision is not reported yet for a foreign write', () => {
    const driven = drive({ two: good, three: good });
    driven.kserve.deploy('two');
    driven.untilWritten(25);
    driven.run(8);
    driven.kserve.deploy('three');
    for (let second = 0; second < 5; second++) {
      driven.nowMs += 1000;
      driven.look();
    }
    assert.is(driven.kserve.percent, 0);
    assert.is(driven.last?.state?.reverts, 0);
  });

  test('gives no share to a revision that lacks the replicas for it', () => {
    const driven = drive({ two: good }, { view: { plannedReplicas: 20, load: 800 } });
    driven.holdReplicas = true;
    driven.kserve.deploy('two');
    driven.run(120);
    assert.equal(driven.writes, [5]);
    assert.is(driven.last?.reason, RolloutReason.Warming);
    assert.equal(driven.last?.floors, [
      { revision: 'm-2', minReplicas: 2, why: 'candidate' },
      { revision: 'm-1', minReplicas: 20, why: 'wayBack' },
    ]);
    driven.holdReplicas = false;
    driven.until(RolloutReason.ProvenGood);
  });

  test('pauses without signals and goes on with them', () => {
    const driven = drive({ two: good });
    driven.kserve.deploy('two');
    driven.untilWritten(10);
    driven.run(8);
    driven.signals = false;
    driven.run(300);
    assert.is(driven.last?.reason, RolloutReason.NoEvidence);
    assert.equal(driven.writes, [5, 10]);
    driven.signals = true;
    driven.until(RolloutReason.ProvenGood);
  });

  test('pauses where nobody sends requests', () => {
    const driven = drive({ two: good }, { rate: 1e-9 });
    driven.kserve.deploy('two');
    driven.run(600);
    assert.equal(driven.writes, [5]);
    assert.is(driven.last?.reason, RolloutReason.NoEvidence);
  });

  test('writes again what a crash lost, without taking it for a foreign write', () => {
    const driven = drive({ two: good });
    driven.kserve.deploy('two');
    driven.untilWritten(5);
    driven.crash = true;
    driven.untilMeant(10);
    driven.run(5);
    assert.equal(driven.writes, [5]);
    driven.crash = false;
    driven.run(1);
    assert.equal(driven.writes, [5, 10]);
    assert.is(driven.last?.state?.reverts, 0);
    driven.until(RolloutReason.ProvenGood);
  });

  test('stops after three foreign writes, and walks the next revision again', () => {
    const driven = drive({ two: good, three: good });
    driven.kserve.deploy('two');
    driven.untilWritten(10);
    driven.run(8);
    let foreign = 0;
    while (driven.last?.reason !== RolloutReason.ForeignWriter && foreign < 9) {
      driven.kserve.write(33);
      foreign++;
      driven.run(2);
    }
    assert.is(foreign, 3);
    const writes = driven.writes.length;
    driven.run(60);
    assert.is(driven.writes.length, writes);
    assert.is(driven.kserve.percent, 33);
    driven.kserve.deploy('three');
    driven.until(RolloutReason.ProvenGood);
  });

  test("leaves a user's own return to the model before as it is", () => {
    const driven = drive({ two: good, three: good });
    driven.kserve.deploy('two');
    driven.until(RolloutReason.ProvenGood);
    driven.run(5);
    const writes = driven.writes.length;
    driven.kserve.update({ canaryTrafficPercent: 0 });
    driven.run(60);
    assert.is(driven.last?.reason, RolloutReason.RolledBackElsewhere);
    assert.equal(driven.kserve.serving(), { one: 100 });
    assert.is(driven.writes.length, writes);
    driven.kserve.deploy('three');
    driven.until(RolloutReason.ProvenGood);
    driven.run(3);
    assert.equal(driven.kserve.serving(), { three: 100 });
  });

  test("mends KServe's fall to the model before the last, when it saw the split before the revision", () => {
    const driven = drive({ two: good, three: good });
    driven.kserve.deploy('two');
    driven.until(RolloutReason.ProvenGood);
    driven.run(5);
    const { kserve, service, route, configuration } = driven.kserve.reconcilers;
    driven.kserve.slow.add('m-3');
    driven.kserve.deploy('three');
    kserve();
    service();
    route();
    service();
    kserve();
    assert.is(driven.kserve.status.latestRolledoutRevision, 'm-1', 'KServe fell back');
    driven.nowMs += 1000;
    driven.look();
    configuration();
    driven.run(3);
    assert.is(driven.last?.reason, RolloutReason.BaselineLost);
    assert.equal(driven.kserve.serving(), { two: 100 });
  });

  test('notes a promotion that somebody else made', () => {
    const driven = drive({ two: good });
    driven.kserve.deploy('two');
    driven.untilWritten(10);
    driven.kserve.update({ canaryTrafficPercent: 100 });
    driven.kserve.reconcileAll();
    driven.run(2);
    assert.is(driven.last?.reason, RolloutReason.PromotedElsewhere);
    assert.equal(driven.kserve.serving(), { two: 100 });
  });

  test('keeps its walk when a manifest without the field is applied', () => {
    const driven = drive({ two: good });
    driven.kserve.deploy('two');
    driven.untilWritten(25);
    driven.run(5);
    driven.kserve.update({ canaryTrafficPercent: undefined });
    driven.run(2);
    assert.is(driven.kserve.percent, 25);
    assert.is(driven.last?.state?.reverts, 0);
  });
});
