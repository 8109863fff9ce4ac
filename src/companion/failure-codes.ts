import type { ErrorCode } from './errors.ts';
import type { UpstreamFailure } from './upstream.ts';

/** What the caller of a passing request is told. */
export function codeOfFailure(failure: UpstreamFailure): ErrorCode {
  switch (failure) {
    case 'unreachable':
      return 'PL_UPSTREAM_UNREACHABLE';
    case 'timeout':
      return 'PL_UPSTREAM_TIMEOUT';
    case 'invalid':
      return 'PL_HTTP_TARGET';
    default:
      return 'PL_UPSTREAM_RESET';
  }
}
