import type { OptionSpec } from './companion-options.ts';
import * as kinds from './option-kinds.ts';

/** What a companion tells about the requests that it serves, and to whom. Times in ms, sizes in bytes. */
export interface ObservingOptions {
  /** Where payloads go as CloudEvents; null: nowhere. */
  readonly logUrl: URL | null;
  readonly logMode: 'all' | 'request' | 'response';
  /** Source of the events; empty: the address that the companion listens at. */
  readonly logSource: string;
  readonly logEndpoint: string;
  readonly logComponent: string;
  /** Names of request headers that go with the events, in lower case. */
  readonly logHeaders: readonly string[];
  readonly logAnnotations: Readonly<Record<string, string>>;
  /** Certificates that the sink's is checked by; empty: those of the system. */
  readonly logCaFile: string;
  readonly logTlsSkipVerify: boolean;
  /** Events that are on their way at once. */
  readonly logWorkers: number;
  /** Events that may wait, and bytes of payloads that may be held for them. */
  readonly logQueue: number;
  readonly logQueueBytes: number;
  /** Share of sound requests that get a line in the log; -1: no request gets one. */
  readonly accessLog: number;
  /** Lines a second. */
  readonly accessLogRate: number;
  /** Knative's request log on standard output. */
  readonly requestLog: boolean;
  readonly requestLogTemplate: string;
  /** Where spans go; null: there are none. */
  readonly traceEndpoint: URL | null;
  /** Of the traces that begin here, 0 to 1. */
  readonly traceShare: number;
  /** A file to record requests in; empty: none. */
  readonly record: string;
  readonly recordBytes: number;
}

/** The options of this part, in the order of the help. */
export const observingOptionSpecs: readonly OptionSpec[] = [
  {
    key: 'logUrl',
    flag: 'log-url',
    kind: kinds.sink,
    description: 'log payloads: send each request and reply as a CloudEvent to this address',
    fallback: '',
  },
  {
    key: 'logMode',
    flag: 'log-mode',
    kind: kinds.oneOf('mode', 'all', 'request', 'response'),
    description: 'which payloads are logged',
    fallback: 'all',
  },
  {
    key: 'logSource',
    flag: 'log-source',
    kind: kinds.text('uri', 'a URI or name'),
    description: 'source of these events, such as the name of the pod',
    fallback: { follows: 'http://localhost:PORT/' },
  },
  {
    key: 'logEndpoint',
    flag: 'log-endpoint',
    kind: kinds.text('name', 'a name'),
    description: 'endpoint that these events name, such as default',
    fallback: '',
  },
  {
    key: 'logComponent',
    flag: 'log-component',
    kind: kinds.text('name', 'a name'),
    description: 'component that these events name, such as predictor',
    fallback: '',
  },
  {
    key: 'logHeaders',
    flag: 'log-headers',
    kind: kinds.headerNames,
    description: 'request headers that go with these events as metadata',
    fallback: '',
  },
  {
    key: 'logAnnotations',
    flag: 'log-annotations',
    kind: kinds.keysAndValues,
    description: 'annotations that go with these events',
    fallback: '',
  },
  {
    key: 'logCaFile',
    flag: 'log-ca-file',
    kind: kinds.text('file', 'a PEM file'),
    description: 'certificates that an https sink is checked by; none: those that Node trusts',
    fallback: '',
  },
  {
    key: 'logTlsSkipVerify',
    flag: 'log-tls-skip-verify',
    kind: kinds.yesOrNo,
    description: 'accept any certificate of the sink',
    fallback: 'false',
  },
  {
    key: 'logWorkers',
    flag: 'log-workers',
    kind: kinds.whole('events', 1, 256),
    description: 'events that are on their way to the sink at once',
    fallback: '5',
  },
  {
    key: 'logQueue',
    flag: 'log-queue',
    kind: kinds.whole('events', 1, 100_000),
    description: 'events that may wait for the sink; more are dropped and counted, requests go on',
    fallback: '1000',
  },
  {
    key: 'logQueueBytes',
    flag: 'log-queue-bytes',
    kind: kinds.size(65_536),
    description: 'bytes of payloads that may be held for the sink; more are dropped and counted',
    fallback: '32MB',
  },
  {
    key: 'accessLog',
    flag: 'access-log',
    kind: kinds.shareOrOff,
    description:
      'log a line for each request that failed, was refused or missed its objective, and for this share of the others',
    fallback: 'off',
  },
  {
    key: 'accessLogRate',
    flag: 'access-log-rate',
    kind: kinds.whole('lines', 1, 100_000),
    description: 'lines a second that this writes at most; the next one says how many were held back',
    fallback: '50',
  },
  {
    key: 'requestLog',
    flag: 'request-log',
    kind: kinds.yesOrNo,
    description: "write a line a request to standard output, as Knative's queue-proxy does",
    fallback: 'false',
  },
  {
    key: 'requestLogTemplate',
    flag: 'request-log-template',
    kind: kinds.requestLogTemplate,
    description: 'the form of that line; none: that of Knative',
    fallback: '',
  },
  {
    key: 'traceEndpoint',
    flag: 'trace-endpoint',
    kind: kinds.sink,
    description: 'export spans by OTLP over HTTP to this collector, such as http://otel-collector:4318',
    fallback: '',
  },
  {
    key: 'traceShare',
    flag: 'trace-share',
    kind: kinds.share,
    description: 'of the traces that begin here, so many are sampled; others are as their callers say',
    fallback: '0.01',
  },
  {
    key: 'record',
    flag: 'record',
    kind: kinds.text('file', 'a file that can be written'),
    description: 'record arrivals, sizes, times and outcomes of requests, without payloads, for `paceline replay`',
    fallback: '',
  },
  {
    key: 'recordBytes',
    flag: 'record-bytes',
    kind: kinds.size(65_536),
    description: 'what the recording may take on the disk; of a longer one the last part is kept',
    fallback: '256MB',
  },
];
