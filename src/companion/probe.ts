import { get } from 'node:http';

const timeoutMs = 2500;

/** The status that a GET answers with, or 0 when no answer comes within 2.5 s. */
export function statusOf(url: URL): Promise<number> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', () => resolve(0));
  });
}
