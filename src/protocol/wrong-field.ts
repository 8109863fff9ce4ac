/** Of longer bodies the place is named only: who sends them sees the same in a short one. */
const namedMax = 65_536;

/**
 * Which field of a refused body is missing or has the wrong type, in words; undefined where that cannot be told. Only for
 * bodies that are JSON.
 */
export function wrongField(protocol: 'v1' | 'v2', body: Buffer): string | undefined {
  if (protocol === 'v1') return '`instances` is not a list';
  if (body.length > namedMax) return undefined;
  const request: unknown = JSON.parse(body.toString());
  if (!isObject(request)) return undefined;
  const { inputs, id, parameters } = request;
  if (inputs === undefined) return '`inputs` is missing';
  if (!Array.isArray(inputs)) return '`inputs` is not a list';
  for (const [i, tensor] of inputs.entries()) {
    if (!isObject(tensor)) return `\`inputs[${i}]\` is not an object`;
    for (const [key, right, kind] of [
      ['name', typeof tensor.name === 'string', 'a string'],
      ['datatype', typeof tensor.datatype === 'string', 'a string'],
      ['shape', Array.isArray(tensor.shape), 'a list'],
    ] as const) {
      if (!right) return `\`inputs[${i}].${key}\` is ${tensor[key] === undefined ? 'missing' : `not ${kind}`}`;
    }
  }
  if (id !== undefined && id !== null && typeof id !== 'string') return '`id` is not a string';
  const isMap = isObject(parameters) || parameters === undefined || parameters === null;
  return isMap ? undefined : '`parameters` is not an object';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
