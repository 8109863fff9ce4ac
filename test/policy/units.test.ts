import * as assert from 'uvu/assert';
import {
  parseDuration,
  parsePatience,
  parsePercentile,
  parseSize,
  parseWhole,
  UnitError,
} from '../../src/policy/units.ts';
import { suite } from '../support/suite.ts';

suite('units that users write', (test) => {
  test('refuse what is not one, and say what is right', () => {
    const cases: [() => unknown, RegExp][] = [
      [() => parseDuration('200'), /write it as 200ms/],
      [() => parseDuration('-1s'), /write it as 200ms/],
      [() => parseDuration('1e3ms'), /write it as 200ms/],
      [() => parseDuration('2h'), /to 3600000 ms/],
      [() => parseDuration('10ms', 50), /from 50 ms/],
      [() => parseSize('64'), /64MiB/],
      [() => parseSize('64mb'), /64MiB/],
      [() => parseWhole('1.5', 1, 9), /from 1 to 9/],
      [() => parseWhole('', 1, 9), /from 1 to 9/],
      [() => parseWhole('10', 1, 9), /from 1 to 9/],
      [() => parsePatience('1.1'), /auto/],
      [() => parsePatience('NaN'), /auto/],
      [() => parsePercentile('100'), /such as 99/],
      [() => parsePercentile('0.99'), /such as 99/],
    ];
    for (const [parse, message] of cases) {
      try {
        parse();
        assert.unreachable(parse.toString());
      } catch (error) {
        assert.instance(error, UnitError, parse.toString());
        assert.match((error as UnitError).message, message);
      }
    }
  });

  test('are what they say', () => {
    assert.is(parseDuration('200ms'), 200);
    assert.is(parseDuration('1.5s'), 1500);
    assert.is(parseDuration('2 m'), 120_000);
    assert.is(parseDuration('500us', 0), 0.5);
    assert.is(parseSize('64MB'), 64_000_000);
    assert.is(parseSize('64MiB'), 67_108_864);
    assert.is(parseWhole('2000', 1, 1e6), 2000);
    assert.is(parsePatience('auto'), -1);
    assert.is(parsePatience('0.25'), 0.25);
    assert.is(parsePercentile('99.9'), 0.9990000000000001);
  });
});
