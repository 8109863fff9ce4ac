import { Counter, Gauge, type Registry } from 'prom-client';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import type { Score } from './score.ts';
import type { ServiceMemory } from './service-memory.ts';
import type { Observations } from './status.ts';

interface Row {
  readonly policy: ServicePolicy;
  readonly plan: ServicePlan | undefined;
  readonly observed: Observations;
  readonly score: Score | undefined;
}

const labelNames = ['kind', 'namespace', 'name'] as const;

/** Metrics of the leader about services. Series are made at the scrape, so that a service costs one row meanwhile. */
export class ReconcileMetrics {
  readonly #rows = new Map<string, Row>();
  readonly #decisions: Counter<'reason'>;
  readonly #statusWrites: Counter;
  readonly #failures: Counter<'what'>;
  readonly #registry: Registry;
  readonly #names: string[] = [];

  constructor(registry: Registry, fleet: { readonly pods: () => number; readonly waiting: () => number }) {
    this.#registry = registry;
    this.#decisions = new Counter({
      name: this.#name('paceline_decisions_total'),
      help: 'plans that changed something or were made for another reason than the one before',
      labelNames: ['reason'],
      registers: [registry],
    });
    this.#statusWrites = new Counter({
      name: this.#name('paceline_status_writes_total'),
      help: 'writes of an InferencePolicy status',
      registers: [registry],
    });
    this.#failures = new Counter({
      name: this.#name('paceline_signal_failures_total'),
      help: 'questions to companions without a usable answer',
      labelNames: ['what'],
      registers: [registry],
    });
    this.#single('paceline_companions_polled', 'companions that are asked for signals', fleet.pods);
    this.#single('paceline_services_waiting', 'services that wait for a free worker', fleet.waiting);
    this.#each('paceline_planned_replicas', 'replicas of the last plan', ({ plan }) => plan?.replicas);
    this.#each(
      'paceline_planned_attainment_ratio',
      'attainment that the last plan expects',
      ({ plan }) => plan?.expect.attainment,
    );
    this.#each(
      'paceline_planned_cost_per_hour',
      'cost that the last plan expects',
      ({ plan }) => plan?.expect.costPerHour,
    );
    this.#each('paceline_demand_items_per_second', 'demand that the last plan is made for', ({ plan }) => plan?.demand);
    this.#each(
      'paceline_attainment_ratio',
      'share of requests in time, last minute',
      ({ observed }) => observed.attainment,
    );
    this.#each('paceline_ready_replicas', 'Ready replicas', ({ observed }) => observed.readyReplicas);
    this.#each(
      'paceline_slo_objective_ratio',
      'share of requests that is promised to be in time',
      ({ policy }) => policy.sloQuantile,
    );
    this.#each(
      'paceline_expectation_error_ratio',
      'attainment less what the plan before expected',
      ({ score }) => score?.attainment,
    );
  }

  noted(
    key: string,
    policy: ServicePolicy,
    plan: ServicePlan | undefined,
    observed: Observations,
    { score }: ServiceMemory,
  ): void {
    this.#rows.set(key, { policy, plan, observed, score });
  }

  decided(reason: string): void {
    this.#decisions.inc({ reason });
  }

  wroteStatus(): void {
    this.#statusWrites.inc();
  }

  failed(what: 'unreachable' | 'refused'): void {
    this.#failures.inc({ what });
  }

  forget(key: string): void {
    this.#rows.delete(key);
  }

  /** Takes its metrics away, so that a later leader in the same process can make them anew. */
  close(): void {
    for (const name of this.#names) this.#registry.removeSingleMetric(name);
  }

  #name(name: string): string {
    this.#names.push(name);
    return name;
  }

  #single(name: string, help: string, value: () => number): void {
    const registers = [this.#registry];
    const gauge: Gauge = new Gauge({ name: this.#name(name), help, registers, collect: () => gauge.set(value()) });
  }

  #each(name: string, help: string, value: (row: Row) => number | undefined): void {
    const rows = this.#rows;
    const gauge: Gauge<(typeof labelNames)[number]> = new Gauge({
      name: this.#name(name),
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        gauge.reset();
        for (const [key, row] of rows) {
          const number = value(row);
          const [kind = '', namespace = '', service = ''] = key.split('/');
          if (number !== undefined && Number.isFinite(number)) gauge.set({ kind, namespace, name: service }, number);
        }
      },
    });
  }
}
