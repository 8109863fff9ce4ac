import type { Ending, Guard } from '../guard.ts';
import type { Dispatcher } from './http-client.ts';

type Heard = 'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError';
type Handler = Required<Pick<Dispatcher.DispatchHandler, Heard>>;

/** Hears of a call in the place of another handler, whose failures end its own request only: a client would take them for the model's. */
export class GuardedHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Handler;
  readonly #guard: Guard;
  readonly #ending: Ending;

  constructor(handler: Handler, guard: Guard, ending: Ending) {
    this.#handler = handler;
    this.#guard = guard;
    this.#ending = ending;
  }

  onRequestStart(...given: Parameters<Handler['onRequestStart']>): void {
    this.#guard.run(this.#ending, () => this.#handler.onRequestStart(...given));
  }

  onResponseStart(...given: Parameters<Handler['onResponseStart']>): void {
    this.#guard.run(this.#ending, () => this.#handler.onResponseStart(...given));
  }

  onResponseData(...given: Parameters<Handler['onResponseData']>): void {
    this.#guard.run(this.#ending, () => this.#handler.onResponseData(...given));
  }

  onResponseEnd(...given: Parameters<Handler['onResponseEnd']>): void {
    this.#guard.run(this.#ending, () => this.#handler.onResponseEnd(...given));
  }

  onResponseError(...given: Parameters<Handler['onResponseError']>): void {
    this.#guard.run(this.#ending, () => this.#handler.onResponseError(...given));
  }
}
