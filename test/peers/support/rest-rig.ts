import * as assert from 'uvu/assert';
import { sameAnswer } from './agree.ts';
import { type HttpAnswer, HttpCaller, type HttpCase } from './http-call.ts';
import { type Paceline, startCompanion } from './paceline.ts';

/** A model server's REST port, the companion in front of it, and a caller of each. */
export class RestRig {
  readonly companion: Paceline;
  readonly direct: HttpCaller;
  readonly through: HttpCaller;

  private constructor(companion: Paceline, model: number, front: number) {
    this.companion = companion;
    this.direct = new HttpCaller(model);
    this.through = new HttpCaller(front);
  }

  /** @param front what stands in front of the companion, where something does. */
  static async start(model: number, companion?: Paceline, front?: number): Promise<RestRig> {
    const own = companion ?? (await startCompanion(model));
    return new RestRig(own, model, front ?? own.port);
  }

  /** Asks the model itself and then through the companion, one call after the other, and compares. */
  async agree(cases: readonly HttpCase[]): Promise<HttpAnswer[]> {
    const answers: HttpAnswer[] = [];
    for (const one of cases) {
      const direct = await this.direct.call(one);
      sameAnswer(one.name, await this.through.call(one), direct, { generatedIds: one.name.includes('without an id') });
      answers.push(direct);
    }
    return answers;
  }

  /**
   * Asks the model one by one, then all at once through the companion, and compares each caller's answer. Batches must have
   * formed.
   */
  async agreeAtOnce(cases: readonly HttpCase[]): Promise<HttpAnswer[]> {
    const direct: HttpAnswer[] = [];
    for (const one of cases) direct.push(await this.direct.call(one));
    const meanBatch = await batchMeter(this.companion);
    const through = await Promise.all(cases.map((one) => this.through.call(one)));
    for (const [i, one] of cases.entries()) {
      sameAnswer(one.name, through[i] as HttpAnswer, direct[i] as HttpAnswer, { batched: true });
    }
    const mean = await meanBatch();
    console.log(`figure: ${cases.length} callers at once, ${cases[0]?.name}: ${mean.toFixed(1)} rows a batch`);
    assert.ok(mean > 1, `batches of ${mean} rows`);
    return through;
  }

  async stop(): Promise<void> {
    await Promise.all([this.direct.close(), this.through.close()]);
    await this.companion.stop();
  }
}

/** Rows a batch since this was called. */
export async function batchMeter(companion: Paceline): Promise<() => Promise<number>> {
  const read = async () => ({
    rows: await companion.metric('paceline_batch_items_sum'),
    batches: await companion.metric('paceline_batch_items_count'),
  });
  const before = await read();
  return async () => {
    const after = await read();
    return (after.rows - before.rows) / Math.max(1, after.batches - before.batches);
  };
}
