import { readSamples } from '../digits/samples.ts';
import type { Shot } from './open-loop.ts';

/**
 * Real held-out digits, each with an answer that the same model gave to it alone.
 *
 * @throws {Error} if the model refuses one.
 */
export async function digitShots(modelUrl: string, model: string): Promise<Shot[]> {
  const path = `/v1/models/${model}:predict`;
  const shots: Shot[] = [];
  for (const { pixels } of readSamples()) {
    const body = JSON.stringify({ instances: [[...pixels]] });
    const alone = await fetch(modelUrl + path, { method: 'POST', body });
    const expected = await alone.text();
    if (!alone.ok) throw new Error(`the model does not answer ${path}: ${alone.status} ${expected}`);
    shots.push({ path, body, isRight: (reply) => reply === expected });
  }
  return shots;
}
