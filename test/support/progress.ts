/** A line on standard error each five seconds, so that a long run can be watched. */
export class Progress {
  readonly #timer: NodeJS.Timeout;

  constructor(line: () => string) {
    this.#timer = setInterval(() => console.error(line()), 5000);
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
