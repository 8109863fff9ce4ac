import type { TraceContext } from '../../telemetry/trace-context.ts';

/** Where a request is in its trace. */
export interface RequestSpan {
  readonly context: TraceContext;
  readonly parentSpanId: string | undefined;
  /** The span of its own call to the model: what the model is told as its parent. */
  readonly callSpanId: string;
}
