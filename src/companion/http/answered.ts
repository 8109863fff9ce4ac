import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';

/** Whether an answer went out whole. Over HTTP/2 Node calls a stream finished also where its caller has given it up. */
export function isAnswered(response: ServerResponse): boolean {
  const stream = response.stream as ServerHttp2Stream | undefined;
  return response.writableFinished && stream?.aborted !== true;
}
