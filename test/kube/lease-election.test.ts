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
  const log = new QuietLog();
  const elections = Array.from({ length: count }, (_, i) => {
    return new LeaseElection({ lease, identity: `candidate-${i}`, api, clock, chance, log });
  });
  return { api, clock, chance, log, elections, leaders: () => elections.filter(({ leads }) => leads).length };
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

  test('who waits says once whose end it waits for, and until when', async () => {
    const { clock, elections, log } = candidates(2);
    const [first, second] = elections as [LeaseElection, LeaseElection];
    first.start();
    await clock.advance(3_000);
    const since = clock.wallMs();
    second.start();
    await clock.advance(60_000);
    const waits = log.lines.filter(({ message }) => message.startsWith('somebody else holds the lease'));
    assert.is(waits.length, 1);
    const [{ fields }] = waits as [(typeof waits)[number]];
    const { holder, until } = fields as { holder: string; until: string };
    assert.is(holder, 'candidate-0');
    const leftMs = Date.parse(until) - since;
    assert.ok(leftMs > 10_000 && leftMs <= 16_000, `${leftMs} ms`);
  });

  for (const [what, ago, holder, ledAfterMs] of [
    ['a holder that ends with its lease, ten minutes and more ago', 700_000, 'gone', [15_000, 25_000]],
    ['one whose time ended within what clocks may be apart', 630_000, 'gone', [30_000, 40_000]],
    ['one whose time runs', 60_000, 'gone', [595_000, 605_000]],
    ['one that writes a time to come', -7_200_000, 'gone', [595_000, 610_000]],
    ['any other holder, whatever time it wrote', 86_400_000, 'other', [595_000, 610_000]],
  ] as const) {
    test(`until when is waited for: ${what}`, async () => {
      const { api, clock, chance, log } = candidates(0);
      const renewTime = new Date(clock.wallMs() - ago).toISOString();
      const spec = { holderIdentity: holder, leaseDurationSeconds: 600, renewTime };
      api.seed(kinds.lease, { metadata: lease, spec });
      const outlives = (name: string) => name === 'gone';
      const election = new LeaseElection({ lease, identity: 'new', api, clock, chance, log, outlives });
      election.start();
      const [least, most] = ledAfterMs;
      await clock.advance(least - 1);
      assert.not(election.leads);
      await clock.advance(most - least);
      assert.ok(election.leads);
    });
  }

  test('a holder that renews is alive, however old the time that it writes', async () => {
    const { api, clock, chance, log } = candidates(0);
    const spec = { holderIdentity: 'slow clock', leaseDurationSeconds: 600, renewTime: '2020-01-01T00:00:00.000000Z' };
    api.seed(kinds.lease, { metadata: lease, spec });
    const election = new LeaseElection({ lease, identity: 'new', api, clock, chance, log, outlives: () => true });
    election.start();
    for (let i = 0; i < 20; i++) {
      await clock.advance(10_000);
      assert.not(election.leads);
      api.edit(kinds.lease, lease, { spec: { renewals: i } });
    }
  });
});
