import { connect } from 'node:http2';

/** What came back over HTTP/2. */
export interface H2cAnswer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

/** One request over h2c with prior knowledge, as Knative's proxies make them, on a connection of its own. */
export function callH2c(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<H2cAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST', ...headers });
    let answer: Record<string, unknown> = {};
    let text = '';
    stream.on('response', (received) => {
      answer = received;
    });
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      resolve({ status: Number(answer[':status'] ?? 0), headers: answer, text });
    });
    stream.end(body);
  });
}
