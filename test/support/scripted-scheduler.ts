import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Carrier } from '../../src/companion/batching/carrier.ts';
import { Exchange } from '../../src/companion/batching/exchange.ts';
import { type Dispatched, Scheduler } from '../../src/companion/batching/scheduler.ts';
import type { BatchingDomain, DomainSettings } from '../../src/kernels/batching.ts';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import type { Reason } from '../../src/kernels/reasons.ts';
import type { BatchProtocol } from '../../src/protocol/protocol.ts';

/** Objectives that no test comes near, so that only what it means to happen does. */
export const patientSettings: DomainSettings = {
  sloMs: 1_000_000,
  sloQuantile: 0.99,
  patience: 0,
  maxBatchItems: 64,
  deferLate: true,
  lateTimeoutMs: 3_000_000,
  maxWaiting: 4000,
  maxLanes: 8,
  maxInFlight: 16,
};

/** A scheduler with a model that answers when the test says so. */
export class SchedulerRig {
  readonly scheduler: Scheduler;
  readonly sent: Dispatched[] = [];
  readonly refused = new Map<Exchange, Reason>();
  readonly #numbers = new Map<Exchange, number>();
  /** One for each trap: whether requests pass from then on. */
  readonly traps: boolean[] = [];
  /** Called for what is sent, after it is in `sent`. */
  onSend: (dispatched: Dispatched) => void = () => {};
  onRefuse: (exchange: Exchange) => void = () => {};

  constructor(settings: DomainSettings, create: (now: number, made: number) => BatchingDomain) {
    let made = 0;
    this.scheduler = new Scheduler(settings, (now) => create(now, made++), {
      send: (dispatched) => {
        this.sent.push(dispatched);
        this.onSend(dispatched);
      },
      refuse: (exchange, reason) => {
        if (this.refused.has(exchange)) throw new Error('refused twice');
        this.refused.set(exchange, reason);
        this.onRefuse(exchange);
      },
      trapped: (_error, passing) => this.traps.push(passing),
    });
  }

  /** Submits `count` requests of one lane; throws where one is not taken. */
  submit(count: number, hardMs = 3_000_000, laneKey = 'a\u0001\u0001'): Exchange[] {
    return Array.from({ length: count }, () => {
      const exchange = newExchange(laneKey, hardMs);
      this.#numbers.set(exchange, this.#numbers.size);
      if (!this.scheduler.submit(exchange)) throw new Error('no lane');
      return exchange;
    });
  }

  /** What was sent, as numbers in the order of submission. */
  get sentNumbers(): number[] {
    return this.sent.flatMap((each) => each.exchanges.map((exchange) => this.#numbers.get(exchange) as number));
  }
}

/** The real domain, some of whose functions the test replaces. */
export function domainWith(
  settings: DomainSettings,
  now: number,
  changed: (real: BatchingDomain) => Partial<BatchingDomain>,
): BatchingDomain {
  const real = createBatchingDomain(settings, now);
  const replaced = changed(real) as Record<string | symbol, unknown>;
  return new Proxy(real, {
    get(target, name) {
      const value = name in replaced ? replaced[name] : Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export function trap(): never {
  throw new WebAssembly.RuntimeError('unreachable');
}

/** Lets the event loop turn, so that what was put off is done. */
export async function turns(count = 8): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs with a clock that only the test sets forward, so that what is learned does not hang on the machine; timers do not follow. */
export async function withClock(run: (forward: (ms: number) => void) => Promise<void>): Promise<void> {
  const real = performance.now;
  let now = real.call(performance);
  performance.now = () => now;
  try {
    await run((ms) => {
      now += ms;
    });
  } finally {
    performance.now = real;
  }
}

function newExchange(laneKey: string, hardMs: number): Exchange {
  const response = new EventEmitter() as unknown as ServerResponse;
  const now = performance.now();
  const exchange = new Exchange({} as IncomingMessage, response, {} as BatchProtocol, {} as Carrier, now);
  exchange.measured = { items: 1, signature: '', uniform: true, holes: [] };
  exchange.laneKey = laneKey;
  exchange.softDeadline = now + hardMs;
  exchange.hardDeadline = now + hardMs;
  return exchange;
}
