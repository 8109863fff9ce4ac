import { type Problem, problemAt, warning } from './problem.ts';
import type { ReviewContext } from './review-context.ts';

/** From so many lanes by one header on it is worth a word. */
const lanesMin = 4;

/** What cannot be seen in the objects, and companions have seen. The controller, which has seen it, asks this alone. */
export function reviewObserved({
  observed,
  policy,
  minReplicas,
  mode,
  where,
}: Pick<ReviewContext, 'observed' | 'policy' | 'minReplicas' | 'mode' | 'where'>): Problem[] {
  if (observed === undefined) return [];
  const problems: Problem[] = [];
  const one = [...(observed.latencyMs ?? [])].sort((a, b) => a.items - b.items)[0];
  const slo = `the SLO of ${policy.sloMs} ms`;
  if (one !== undefined && one.quantile > policy.sloMs) {
    const percent = Number((policy.sloQuantile * 100).toPrecision(6));
    problems.push(
      problemAt(
        warning,
        'PL_SLO_UNREACHABLE',
        where('slo'),
        `${slo} is below what the model alone takes: ${percent} % of single requests are done within ${Math.round(one.quantile)} ms; raise it above that, or make the model faster`,
      ),
    );
  }
  const { splittingHeader, coldStartMs } = observed;
  if (
    splittingHeader &&
    splittingHeader.lanes >= lanesMin &&
    !policy.shareAcrossHeaders.includes(splittingHeader.name.toLowerCase())
  ) {
    problems.push(
      problemAt(
        warning,
        'PL_LANES_SPLIT',
        where('share-across-headers'),
        `the header ${splittingHeader.name} keeps requests apart (${splittingHeader.lanes} lanes), so that they share no batch: where the model does not answer by it, add it to share-across-headers`,
      ),
    );
  }
  if (coldStartMs !== undefined && minReplicas === 0 && mode !== 'standard' && coldStartMs > policy.sloMs) {
    problems.push(
      problemAt(
        warning,
        'PL_COLD_START',
        where('slo'),
        `a cold start takes ${Math.round(coldStartMs)} ms, so the first requests after scaling to zero miss ${slo}: keep one replica where that matters`,
      ),
    );
  }
  return problems;
}
