import * as assert from 'uvu/assert';
import {
  choosePriceList,
  costPerHour,
  type PriceList,
  priceOfNode,
  readPriceList,
} from '../../src/policy/price-list.ts';
import { formatRate, parseRate } from '../../src/policy/rates.ts';
import { suite } from '../support/suite.ts';

const type = 'node.kubernetes.io/instance-type';

function listOf(name: string, prices: object[], over: object = {}, creationTimestamp?: string): PriceList {
  const { value, problems } = readPriceList({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'PriceList',
    metadata: { name, ...(creationTimestamp !== undefined && { creationTimestamp }) },
    spec: { currency: 'USD', prices, ...over },
  });
  assert.equal(problems, []);
  return value as PriceList;
}

suite('price lists', (test) => {
  test('a node that no entry fits has no price', () => {
    const list = listOf('a', [
      { instanceType: 'm7i.xlarge', price: 1 },
      { nodeLabels: { zone: 'a', gpu: 't4' }, price: 2 },
    ]);
    assert.is(priceOfNode(list, {}), undefined);
    assert.is(priceOfNode(list, { zone: 'a' }), undefined);
    assert.is(priceOfNode(list, { [type]: 'm7i' }), undefined);
  });

  test('the entry with the most labels holds, among equals the first', () => {
    const list = listOf('a', [
      { price: 1 },
      { instanceType: 'x', price: 2 },
      { nodeLabels: { zone: 'a' }, price: 3 },
      { instanceType: 'x', nodeLabels: { zone: 'a' }, price: 4 },
    ]);
    assert.is(priceOfNode(list, {})?.amount, 1);
    assert.is(priceOfNode(list, { [type]: 'x' })?.amount, 2);
    assert.is(priceOfNode(list, { zone: 'a' })?.amount, 3);
    assert.is(priceOfNode(list, { [type]: 'x', zone: 'b' })?.amount, 2);
    assert.equal(priceOfNode(list, { [type]: 'x', zone: 'a' }), {
      amount: 4,
      billing: 'replica-seconds',
      currency: 'USD',
    });
    assert.is(priceOfNode(list, { 'beta.kubernetes.io/instance-type': 'x' })?.amount, 2, 'the old label too');
    const even = listOf('b', [
      { instanceType: 'x', price: 2 },
      { nodeLabels: { zone: 'a' }, price: 3 },
    ]);
    assert.is(priceOfNode(even, { [type]: 'x', zone: 'a' })?.amount, 2);
  });

  test('of several lists the oldest holds, then the first by name; one not made yet comes last', () => {
    assert.is(choosePriceList([]), undefined);
    const lists = [
      listOf('c', [{ price: 1 }]),
      listOf('b', [{ price: 1 }], {}, '2026-01-02T00:00:00Z'),
      listOf('a', [{ price: 1 }], {}, '2026-01-02T00:00:00Z'),
    ];
    assert.is(choosePriceList(lists)?.metadata.name, 'a');
    assert.is(choosePriceList([...lists, listOf('z', [{ price: 1 }], {}, '2025-01-02T00:00:00Z')])?.metadata.name, 'z');
  });

  test('an hour by each kind of billing', () => {
    const load = { memoryGb: 2, requestRate: 10 };
    assert.is(costPerHour({ billing: 'replica-seconds', amount: 0.4, currency: 'USD' }, load), 0.4);
    assert.is(costPerHour({ billing: 'gb-seconds', amount: 0.00001, currency: 'USD' }, load), 0.00001 * 2 * 3600);
    assert.is(costPerHour({ billing: 'request', amount: 0.0002, currency: 'USD' }, load), 0.0002 * 10 * 3600);
  });
});

suite('rates', (test) => {
  test('refuse what is not one, and say what is right', () => {
    for (const text of [
      '',
      '1',
      '/h',
      '1/s',
      '1 h',
      '1/hour',
      '-1/h',
      '1e3/h',
      '1 usd/h',
      '1 US/h',
      'USD 1/h',
      '1 USD /h',
      '0x1/h',
      '1/h/h',
    ]) {
      assert.throws(() => parseRate(text), /such as 0\.40\/h/, text);
    }
  });

  test('are an hour, whatever was written', () => {
    assert.equal(parseRate('0.40/h'), { perHour: 0.4 });
    assert.equal(parseRate(' 24 EUR/day '), { perHour: 1, currency: 'EUR' });
    assert.equal(parseRate('730USD/month'), { perHour: 1, currency: 'USD' });
  });

  test('are written so that they are read alike', () => {
    for (const perHour of [0, 0.4, 1 / 3, 123456789, 0.000001, 0.000123456789012]) {
      assert.is(parseRate(formatRate({ perHour })).perHour, perHour);
    }
    const tiny = parseRate(formatRate({ perHour: 1.23e-9, currency: 'USD' }));
    assert.ok(Math.abs(tiny.perHour / 1.23e-9 - 1) < 1e-9 && tiny.currency === 'USD');
  });
});
