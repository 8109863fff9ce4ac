import { Pool } from 'undici';

/** A request as it goes over the wire. */
export interface HttpCase {
  readonly name: string;
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** An answer as it came over the wire. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A caller of one port, with as many connections as it has calls at once. */
export class HttpCaller {
  readonly #pool: Pool;

  constructor(port: number) {
    this.#pool = new Pool(`http://127.0.0.1:${port}`, { connections: 256, pipelining: 1, bodyTimeout: 60_000 });
  }

  async call({ method, path, headers = {}, body }: HttpCase): Promise<HttpAnswer> {
    const answer = await this.#pool.request({
      path,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers,
      body: body ?? null,
    });
    const received = Buffer.from(await answer.body.arrayBuffer());
    const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
    return { status: answer.statusCode, headers: Object.fromEntries(flat), body: received };
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
