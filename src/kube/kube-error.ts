/** The API server refused a request, or could not be reached (status 0). */
export class KubeError extends Error {
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** The API's own word: `Conflict`, `NotFound`, `Expired`, `AlreadyExists`... */
  readonly reason: string;
  /** How long the server asked us to wait, in ms. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message);
    this.name = 'KubeError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Somebody else wrote in between, or owns a field: read again and decide again. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

/** The namespace is on its way out, and takes nothing new. */
export function isEnding(error: unknown): boolean {
  return error instanceof KubeError && error.reason === 'NamespaceTerminating';
}

/** The history that a watch asked for is gone: list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired');
}
