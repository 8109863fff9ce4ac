// Which test files run at the same time. Much of what they do is waiting, for a walk to go on or for three minutes
// without a write; a node of two cores has room for a second one meanwhile, as long as neither changes what the other needs.

/**
 * Steps, one after the other; the lists of a step run at the same time, each from its first file to its last. Only one
 * list of a step may stop, replace or remove Paceline's controller, or the API server; those beside it use neither
 * during that time.
 */
const steps: readonly (readonly (readonly string[])[])[] = [
  [
    ['crds', 'rbac', 'admission'],
    ['network', 'image', 'serving', 'scale'],
  ],
  // The controller is killed only after minutes of steady load, when those who come from zero have long been answered.
  [['controller'], ['traffic'], ['loadtest']],
  [['manifests', 'update'], ['held-replicas']],
  // This fleet has an API server and a controller of its own, and takes both cores.
  [['fleet']],
  // What is lost is compared with what another one loses at the same time: two services in each of two modes are enough.
  [['faults']],
  // The controllers are killed again; k6 drives a service that needs none meanwhile.
  [['variants'], ['scenarios']],
  // Installs and removes what the others use.
  [['readme']],
  // Walks and measurements of minutes, in the full run only.
  [['class', 'rollout']],
];

/** Every name in the order of the steps. */
export const scheduled: readonly string[] = steps.flat(2);

/**
 * @param names files to run, without `.test.ts`
 * @param alone one file at a time: what is measured over minutes wants the machine for itself
 * @returns steps of lists that may run at the same time; a name that no step has comes last, alone
 */
export function scheduleOf(names: readonly string[], alone: boolean): string[][][] {
  const chosen = steps.map((lists) => lists.map((list) => list.filter((name) => names.includes(name))));
  const others = names.filter((name) => !scheduled.includes(name));
  const all = [...chosen, ...others.map((name) => [[name]])];
  const filled = all.map((lists) => lists.filter((list) => list.length > 0)).filter((lists) => lists.length > 0);
  return alone ? filled.flat(2).map((name) => [[name]]) : filled;
}
