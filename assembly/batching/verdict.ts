import { VerdictKind } from './codes';
import { Domain, Verdict } from './domain';

/** Appends a verdict to the boundary's table. The caller has made sure that there is room. */
export function say(domain: Domain, kind: VerdictKind, id: u32, reason: u32): Verdict {
  const verdict = changetype<Verdict>(domain.verdicts + <usize>domain.verdictCount * offsetof<Verdict>());
  domain.verdictCount++;
  verdict.kind = kind;
  verdict.id = id;
  verdict.reason = reason;
  return verdict;
}
