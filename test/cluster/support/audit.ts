import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from '../settings.ts';

/** A write that the API server carried out. */
export interface Write {
  readonly atMs: number;
  readonly verb: string;
  /** `resource/name`, with the subresource behind it. */
  readonly object: string;
  readonly who: string;
}

interface AuditEvent {
  verb: string;
  stage: string;
  user: { username: string };
  objectRef?: { resource: string; namespace?: string; name?: string; subresource?: string };
  responseStatus?: { code?: number };
  requestReceivedTimestamp: string;
}

const verbs = ['create', 'update', 'patch', 'delete'];

/** Who wrote what in a namespace, from the API server's audit log. Writes that change nothing are among them. */
export function writesIn(namespace: string, sinceMs: number): Write[] {
  const lines = readFileSync(join(paths.run, 'audit.log'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    if (!line.includes(`"namespace":"${namespace}"`)) return [];
    const { verb, stage, user, objectRef, responseStatus, requestReceivedTimestamp } = JSON.parse(line) as AuditEvent;
    const atMs = Date.parse(requestReceivedTimestamp);
    if (atMs < sinceMs || stage !== 'ResponseComplete' || !verbs.includes(verb)) return [];
    if (!objectRef || (responseStatus?.code ?? 500) >= 300) return [];
    const { resource, name = '', subresource } = objectRef;
    const object = `${resource}/${name}${subresource ? `/${subresource}` : ''}`;
    return [{ atMs, verb, object, who: user.username.replace('system:serviceaccount:', '') }];
  });
}
