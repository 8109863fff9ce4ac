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
