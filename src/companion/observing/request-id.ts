import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http2';
import { setHeader } from '../http/headers.ts';

const name = 'x-request-id';

/** Gives a request an id where its caller gave none, as if the caller had: whatever is forwarded bears it. */
export function keepOrMakeId(request: IncomingMessage): void {
  if (request.headers[name]) return;
  const id = randomUUID();
  request.headers[name] = id;
  setHeader(request.rawHeaders, name, id);
}

/** The id of a request, or empty where it never came so far. */
export function requestIdOf(request: IncomingMessage): string {
  const id = request.headers[name];
  return typeof id === 'string' ? id : '';
}

/** Adds the id of a request to the headers of its reply, a flat list, unless the model has answered with one. */
export function withRequestId(request: IncomingMessage, headers: string[]): string[] {
  const id = requestIdOf(request);
  if (id === '') return headers;
  for (let i = 0; i < headers.length; i += 2) {
    const each = headers[i] as string;
    if (each.length === name.length && each.toLowerCase() === name) return headers;
  }
  headers.push(name, id);
  return headers;
}

/** The same for the headers of a reply over HTTP/2: a new object. */
export function fieldsWithRequestId(request: IncomingMessage, fields: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const id = requestIdOf(request);
  return id === '' || fields[name] !== undefined ? { ...fields } : { ...fields, [name]: id };
}
