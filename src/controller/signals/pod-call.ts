import http from 'node:http';
import { isIP } from 'node:net';

/** The admin port of a companion in a pod. */
export const adminPort = 9086;
const answerBytesMax = 256 * 1024;

export interface PodAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks a companion. Replaceable, so that tests run in a time of their own. */
export type PodCall = (ip: string, request: PodRequest) => Promise<PodAnswer>;

export interface PodRequest {
  readonly method: 'GET' | 'PUT';
  readonly path: '/signals' | '/policy';
  readonly body?: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
}

/** Keeps nothing, and is one for all: an agent for each question takes as long to make as the question. */
const agent = new http.Agent({ keepAlive: false });

/**
 * One request to a companion's admin port. The address is an IP literal (a name could be resolved to anything), the port
 * is fixed, redirects are not followed, size and time are bounded, and no connection is kept: with thousands of pods
 * each would be used once in ten seconds.
 */
export const callPod: PodCall = (ip, { method, path, body, timeoutMs }) =>
  new Promise((resolve, reject) => {
    if (isIP(ip) === 0) {
      reject(new Error(`${ip.slice(0, 64)} is no address of a pod`));
      return;
    }
    const fail = (error: Error) => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const headers =
      body === undefined ? {} : { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) };
    const outgoing = http.request({ host: ip, port: adminPort, path, method, headers, agent }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) fail(new Error(`an answer of more than ${answerBytesMax} bytes`));
        else chunks.push(chunk);
      });
      answer.on('error', fail);
      answer.on('end', () => {
        clearTimeout(timer);
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    outgoing.on('error', fail);
    outgoing.end(body);
  });
