import type { PlacementProblem } from '../src/kernels/placement.ts';
import { Random } from '../src/simulator/random.ts';
import { queueCases, queueProblem } from '../src/simulator/scenarios/queue-estimate.ts';

/** So many services with so many variants each, all different: curves, prices, accuracies, a minute of arrivals. */
export function manyVariants(services: number, variants: number): PlacementProblem[] {
  const random = new Random(17);
  return Array.from({ length: services }, () => {
    const base = queueProblem(queueCases[0] as (typeof queueCases)[number]);
    const rate = 5 + 400 * random.uniform();
    return {
      ...base,
      choose: true,
      minAccuracy: 0.6,
      seconds: Array.from({ length: 60 }, () => Math.max(0, Math.round(rate + Math.sqrt(rate) * random.normal()))),
      options: Array.from({ length: variants }, (_, i) => {
        const alone = 5 + 60 * random.uniform();
        const item = 5 * random.uniform();
        const curve = [1, 4, 16, 32, 64].map((items) => {
          const expected = alone + item * items;
          return { items, expected, quantile: expected * (1.05 + 0.2 * random.uniform() * (items / 64)) };
        });
        for (let p = 1; p < curve.length; p++) {
          const point = curve[p] as { quantile: number };
          point.quantile = Math.max(point.quantile, (curve[p - 1] as { quantile: number }).quantile);
        }
        const option = base.options[0] as PlacementProblem['options'][number];
        return { ...option, curve, price: 0.1 + random.uniform(), accuracy: 0.5 + 0.06 * i, share: 1 / variants };
      }),
    };
  });
}
