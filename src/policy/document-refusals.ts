import type { DocumentRefusal } from './policy-document.ts';

/** What a companion answers to a policy document that it does not take. */
export interface RefusalSpec {
  readonly status: number;
  readonly meaning: string;
  readonly help: string;
}

/** Every refusal of a policy document, in the order in which they are looked for. */
export const documentRefusals: Readonly<Record<DocumentRefusal, RefusalSpec>> = {
  PL_POLICY_SIZE: {
    status: 413,
    meaning: 'The document is longer than 16 KiB. Its signature was not looked at.',
    help: 'Only a controller writes these: look for who else reaches the admin port.',
  },
  PL_POLICY_FORMAT: {
    status: 400,
    meaning:
      'It is not a payload and an Ed25519 signature in base64url, with a dot between, or the payload is no JSON object.',
    help: 'Look for what changes bodies on the way.',
  },
  PL_POLICY_SIGNATURE: {
    status: 403,
    meaning: 'No key that this companion knows has signed it; an old key counts no longer once the next one was used.',
    help: 'Where Paceline was installed anew, or the keys were rotated twice, since the pod was made, restart it: `kubectl delete pod`, or `kubectl rollout restart` of its Deployment in Standard mode. Until then it keeps its injected configuration.',
  },
  PL_POLICY_SCHEMA: {
    status: 400,
    meaning: 'It is signed, and of a schema version that this companion does not know.',
    help: "Restart the pod, so that it gets the companion of the controller's version.",
  },
  PL_POLICY_VALUE: {
    status: 400,
    meaning: 'It is signed, and a field is missing or out of range.',
    help: "Report it with the controller's log line.",
  },
  PL_POLICY_TARGET: {
    status: 403,
    meaning: 'It is for another service or another revision.',
    help: 'The controller sends the right one within seconds; otherwise look for who replays documents.',
  },
  PL_POLICY_EARLY: {
    status: 409,
    meaning: 'It was issued more than 30 s in the future.',
    help: 'Set the clocks of the nodes.',
  },
  PL_POLICY_EXPIRED: {
    status: 409,
    meaning: 'Its time is over, by more than the 30 s that clocks may be apart.',
    help: 'Set the clocks of the nodes; otherwise look for who replays documents.',
  },
  PL_POLICY_SEQUENCE: {
    status: 409,
    meaning: 'A document with the same or a higher sequence was taken before.',
    help: 'Nothing: the newer one holds.',
  },
};
