import { UnitError } from './units.ts';

/** What a line of Knative's request log can name (knative.dev/serving pkg/http/request_log.go). */
export interface LoggedRequest {
  readonly method: string;
  readonly uri: string;
  readonly host: string;
  readonly protocol: string;
  /** -1 where it is not announced. */
  readonly contentLength: number;
  readonly remoteAddress: string;
  header(name: string): string;
  readonly code: number;
  readonly size: number;
  /** In seconds. */
  readonly latency: number;
  readonly traceId: string;
}

/** Whose requests they are. */
export interface LoggedRevision {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly configuration: string;
  readonly podName: string;
  readonly podIp: string;
}

/** Knative's own default (logging.request-log-template of config-observability). */
export const knativeTemplate =
  '{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", "requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "responseSize": "{{.Response.Size}}", "userAgent": "{{js .Request.UserAgent}}", "remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", "referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", "protocol": "{{.Request.Proto}}"}, "traceId": "{{.TraceID}}"}';

type Read = (request: LoggedRequest, revision: LoggedRevision) => string;

const fields: Readonly<Record<string, Read>> = {
  '.Request.Method': ({ method }) => method,
  '.Request.RequestURI': ({ uri }) => uri,
  '.Request.URL': ({ uri }) => uri,
  '.Request.Host': ({ host }) => host,
  '.Request.Proto': ({ protocol }) => protocol,
  '.Request.ContentLength': ({ contentLength }) => String(contentLength),
  '.Request.RemoteAddr': ({ remoteAddress }) => remoteAddress,
  '.Request.UserAgent': (request) => request.header('user-agent'),
  '.Request.Referer': (request) => request.header('referer'),
  '.Response.Code': ({ code }) => String(code),
  '.Response.Size': ({ size }) => String(size),
  '.Response.Latency': ({ latency }) => goNumber(latency),
  '.Revision.Name': (_, { name }) => name,
  '.Revision.Namespace': (_, { namespace }) => namespace,
  '.Revision.Service': (_, { service }) => service,
  '.Revision.Configuration': (_, { configuration }) => configuration,
  '.Revision.PodName': (_, { podName }) => podName,
  '.Revision.PodIP': (_, { podIp }) => podIp,
  '.TraceID': ({ traceId }) => traceId,
};

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

const functions: Readonly<Record<string, (text: string) => string>> = {
  js: goJs,
  urlquery: (text) => new URLSearchParams([['', text]]).toString().slice(1),
  html: (text) => text.replace(/[&<>"']/g, (each) => entities[each] as string),
};

/**
 * Reads a template of Knative's request log: text with `{{...}}`, in which a field is named, with `js`, `html` or `urlquery`
 * before it or after a `|`. Returns what writes one line, with its end.
 *
 * @throws {UnitError} for what Go's text/template could do and this cannot.
 */
export function compileRequestLog(template: string): Read {
  const parts: Read[] = [];
  let at = 0;
  for (const match of template.matchAll(/\{\{-?\s*(.*?)\s*-?\}\}/gs)) {
    const text = template.slice(at, match.index);
    parts.push(() => text, readerOf(match[1] as string));
    at = match.index + match[0].length;
  }
  const rest = template.slice(at);
  if (rest.includes('{{')) throw new UnitError('the template has a {{ without its }}');
  parts.push(() => (rest.endsWith('\n') ? rest : `${rest}\n`));
  return (request, revision) => parts.map((part) => part(request, revision)).join('');
}

function readerOf(action: string): Read {
  const [first = '', ...pipes] = action.split('|').map((each) => each.trim());
  const [, before, operand = ''] = /^(?:([a-z]+)\s+)?(\..*)$/.exec(first) ?? [];
  const read = fields[operand] ?? headerReader(operand);
  const names = [...(before === undefined ? [] : [before]), ...pipes];
  const applied = names.map((name) => (Object.hasOwn(functions, name) ? functions[name] : undefined));
  if (!read || applied.includes(undefined)) {
    const known = [...Object.keys(fields), '.Request.Header.Get "NAME"'].join(', ');
    throw new UnitError(`{{${action}}} cannot be written: name one of ${known}, with js, html or urlquery before it`);
  }
  return (request, revision) =>
    applied.reduce((text, each) => (each as (text: string) => string)(text), read(request, revision));
}

function headerReader(operand: string): Read | undefined {
  const [, name] = /^\.Request\.Header\.Get\s+"([^"]+)"$/.exec(operand) ?? [];
  return name === undefined ? undefined : (request) => request.header(name.toLowerCase());
}

/** As Go's template function `js`. */
function goJs(text: string): string {
  return text.replace(/[\\'"<>&=]|(?! )[\p{C}\p{Z}]/gu, (each) =>
    /[\\'"]/.test(each)
      ? `\\${each}`
      : `\\u${(each.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`,
  );
}

/** A number as Go prints a float64. */
function goNumber(value: number): string {
  if (value === 0 || Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}
