/** A request that the model refuses, with the status and the `{"error"}` body that KServe's Python server gives. */
export class ModelError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
