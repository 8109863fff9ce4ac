// In which ways a model and the way to it can fail: one list for chaos, soak and whoever wants one of them by its name.
import { Random } from '../../../src/simulator/random.ts';

/** What follows for a call that is alone at the model. */
export type Effect =
  /** The right answer, however it comes. */
  | 'answered'
  /** A status that may be the fault of one request among several. */
  | 'content'
  /** A status that says that the call is too large. */
  | 'too-large'
  /** Any other status. */
  | 'refused'
  /** A reply whose rows are not those of the call. */
  | 'unsplittable'
  /** No whole reply, and the connection or the stream is gone. */
  | 'broken'
  /** No whole reply, ever. */
  | 'silent';

export type Transport = 'http' | 'grpc';

/** What the model says where nothing goes wrong with the way to say it. */
export interface FaultyReply {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Fault {
  readonly effect: Effect;
  /** The statuses that it answers with. */
  readonly http?: number;
  readonly grpc?: number;
  /** Where only one transport knows it. */
  readonly only?: Transport;
  /** Happens when the head of a call has come, before anybody knows whose it is. */
  readonly atHead?: true;
  /** How often it is drawn beside others. */
  readonly weight: number;
}

/** Names say what the model does. A `kill` ends the connection with FIN, a `reset` with RST; over HTTP/2 a reset is the stream's. */
export const faults = {
  ok: { effect: 'answered', weight: 0 },
  dribble: { effect: 'answered', weight: 2 },
  'read-slowly': { effect: 'answered', atHead: true, weight: 2 },
  'close-after': { effect: 'answered', weight: 2 },
  'close-when-idle': { effect: 'answered', weight: 2 },
  'say-more': { effect: 'answered', only: 'http', weight: 1 },
  'interim-first': { effect: 'answered', only: 'http', weight: 1 },
  'status-400': { effect: 'content', http: 400, grpc: 3, weight: 2 },
  'status-422': { effect: 'content', http: 422, grpc: 11, weight: 2 },
  'status-500': { effect: 'content', http: 500, grpc: 13, weight: 2 },
  'status-413': { effect: 'too-large', http: 413, grpc: 8, weight: 2 },
  'status-404': { effect: 'refused', http: 404, grpc: 5, weight: 2 },
  'status-429': { effect: 'refused', http: 429, grpc: 7, weight: 2 },
  'status-503': { effect: 'refused', http: 503, grpc: 14, weight: 2 },
  'rows-missing': { effect: 'unsplittable', weight: 2 },
  'rows-added': { effect: 'unsplittable', weight: 2 },
  'body-of-garbage': { effect: 'unsplittable', weight: 1 },
  'body-empty': { effect: 'unsplittable', weight: 1 },
  'message-cut': { effect: 'unsplittable', only: 'grpc', weight: 1 },
  'kill-at-head': { effect: 'broken', atHead: true, weight: 1 },
  'kill-before-reply': { effect: 'broken', weight: 1 },
  'reset-before-reply': { effect: 'broken', weight: 2 },
  'refuse-stream': { effect: 'broken', only: 'grpc', weight: 2 },
  'kill-in-head': { effect: 'broken', only: 'http', weight: 2 },
  'kill-in-body': { effect: 'broken', weight: 1 },
  'reset-in-body': { effect: 'broken', weight: 2 },
  'length-too-long': { effect: 'broken', only: 'http', weight: 2 },
  'cut-in-chunk': { effect: 'broken', only: 'http', weight: 2 },
  garbage: { effect: 'broken', grpc: 12, weight: 2 },
  'stall-before-reply': { effect: 'silent', weight: 0.1 },
  'stall-in-body': { effect: 'silent', weight: 0.1 },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as FaultName[];

export function faultOf(name: FaultName): Fault {
  return faults[name];
}

/** Draws faults from a seed: the same draws in the same order. */
export class FaultPlan {
  readonly #random: Random;
  readonly #share: number;
  readonly #lists = new Map<string, FaultName[]>();

  readonly #names: readonly FaultName[];

  /**
   * @param share of calls that go wrong
   * @param names of the faults that are drawn, each as often as its weight says
   */
  constructor(seed: number, share: number, names: readonly FaultName[] = faultNames) {
    this.#random = new Random(seed);
    this.#share = share;
    this.#names = names;
  }

  /** For a call whose head has come: mostly `ok`. */
  atHead(transport: Transport): FaultName {
    return this.#draw(transport, true);
  }

  /** For a call that has come whole. */
  next(transport: Transport): FaultName {
    return this.#draw(transport, false);
  }

  #draw(transport: Transport, atHead: boolean): FaultName {
    const list = this.#listOf(transport, atHead);
    if (list.length === 0) return 'ok';
    const all = this.#listOf(transport, !atHead).length + list.length;
    if (this.#random.uniform() >= (this.#share * list.length) / all) return 'ok';
    return list[Math.floor(this.#random.uniform() * list.length)] as FaultName;
  }

  /** Each fault as often as its weight says. */
  #listOf(transport: Transport, atHead: boolean): FaultName[] {
    const key = `${transport} ${atHead}`;
    const known = this.#lists.get(key);
    if (known) return known;
    const list = this.#names.flatMap((name) => {
      const fault = faultOf(name);
      const fits = (fault.atHead ?? false) === atHead && (fault.only ?? transport) === transport;
      return fits ? Array<FaultName>(Math.round(fault.weight * 10)).fill(name) : [];
    });
    this.#lists.set(key, list);
    return list;
  }
}
