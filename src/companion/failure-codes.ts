import type { ErrorCode } from './errors.ts';
import type { UpstreamFailure } from './upstream.ts';

/** What the callers of a call that failed are told. */
export function codeOfFailure(failure: UpstreamFailure): ErrorCode {
  switch (failure) {
    case 'unreachable':
      return 'PL_UPSTREAM_UNREACHABLE';
    case 'timeout':
      return 'PL_UPSTREAM_TIMEOUT';
    case 'invalid':
      return 'PL_HTTP_TARGET';
    case 'aborted':
      return 'PL_DEADLINE_EXCEEDED';
    case 'protocol':
      return 'PL_UPSTREAM_PROTOCOL';
    case 'too-large':
      return 'PL_UPSTREAM_REPLY';
    default:
      return 'PL_UPSTREAM_RESET';
  }
}

const absences = new Set(['unreachable', 'reset', 'timeout', 'PL_UPSTREAM_UNREACHABLE', 'PL_UPSTREAM_RESET']);

/** Whether a call that ended with this failure, or with this error for its caller, found no model. */
export function isAbsence(result: string): boolean {
  return absences.has(result);
}
