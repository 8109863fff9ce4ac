import type { ErrorCode } from '../errors.ts';
import type { Absence } from './circuit.ts';
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

const absences: Readonly<Record<string, Absence>> = {
  unreachable: 'unreachable',
  PL_UPSTREAM_UNREACHABLE: 'unreachable',
  reset: 'reset',
  PL_UPSTREAM_RESET: 'reset',
  timeout: 'silent',
};

/** In which way a call that ended with this failure, or with this error for its caller, found no model; undefined where it found one. */
export function absenceOf(result: string): Absence | undefined {
  return absences[result];
}
