import * as assert from 'uvu/assert';
import { KubeError } from '../../src/kube/kube-error.ts';
import { LeaseElection } from '../../src/kube/lease-election.ts';
import { kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from '../support/api-double.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const lease = { namespace: 'system', name: 'lease' };

function candidates(count: number) {
  const api = new ApiDouble();
  const clock = new VirtualClock();
  let seed = 1;
  const chance = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const elections = Array.from({ length: count }, (_, i) => {
    return new LeaseElection({ lease, identity: `candidate-${i}`, api, clock, chance, log: new QuietLog() });
  });
  return { api, clock, elections, leaders: () => elections.filter(({ leads }) => leads).length };
}

suite('lease election', (test) => {
  test('two that create the lease at once: one leads', async () => {
    const { clock, elections, leaders } = candidates(2);
    for (const election of elections) election.start();
    await clock.advance(30_000);
    assert.is(leaders(), 1);
  });

  test('never two at a time, through a partition of each in turn, and clocks that jump', async () => {
    const { api, clock, elections, leaders } = candidates(3);
    for (const election of elections) election.start();
    const seen = new Set<number>();
    let cut: string | undefined;
    // Requests carry no identity here: all requests fail while somebody is cut off, except that its rivals' go on.
    api.before = (verb, kind) => {
      if (cut !== undefined && kind === kinds.lease && verb === 'replace') throw new KubeError(0, 'Unreachable', 'cut');
    };
    for (let step = 0; step < 400; step++) {
      if (step % 40 === 20) cut = 'all';
      if (step % 40 === 32) cut = undefined;
      if (step % 70 === 35) clock.jumpWall(step % 2 === 0 ? 3_600_000 : -7_200_000);
      await clock.advance(500);
      assert.ok(leaders() <= 1, `${leaders()} leaders at step ${step}`);
      for (const { leads, transitions } of elections) if (leads) seen.add(transitions);
    }
    cut = undefined;
    await clock.advance(30_000);
    assert.is(leaders(), 1);
    assert.ok(seen.size >= 1);
  });

  test('a leader whose renewals hang stops leading before its lease can be taken', async () => {
    const { api, clock, elections } = candidates(2);
    const [first, second] = elections as [LeaseElection, LeaseElection];
    first.start();
    await clock.advance(5_000);
    assert.ok(first.leads);
    // The first one's next renewal never gets an answer; the second one's requests go through.
    let hung = false;
    api.before = (verb) => {
      if (verb === 'replace' && !hung) {
        hung = true;
        return new Promise<void>(() => {});
      }
      return undefined;
    };
    await clock.advance(3_000);
    second.start();
    let gap = 0;
    for (let i = 0; i < 400 && !second.leads; i++) {
      await clock.advance(100);
      if (!first.leads) gap++;
      assert.not(first.leads && second.leads);
    }
    assert.ok(second.leads);
    assert.ok(gap > 10, `${gap * 100} ms without a leader`);
    assert.is(second.transitions, 1);
  });

  test('who stops gives the lease up: the next one need not wait for its end', async () => {
    const { clock, elections } = candidates(2);
    const [first, second] = elections as [LeaseElection, LeaseElection];
    first.start();
    await clock.advance(3_000);
    second.start();
    await clock.advance(3_000);
    const stopped = first.stop();
    await clock.advance(3_000);
    await stopped;
    assert.not(first.leads);
    assert.ok(second.leads);
    assert.is(second.transitions, 1);
  });
});
