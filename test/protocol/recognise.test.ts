import * as assert from 'uvu/assert';
import { recognise } from '../../src/protocol/recognise.ts';
import { suite } from '../support/suite.ts';

const json = { 'content-type': 'application/json' };

suite('recognise', (test) => {
  test('forwards everything that is not a plain inference request', () => {
    for (const path of [
      '/',
      '/v1/models',
      '/v1/models/m',
      '/v1/models/m:explain',
      '/v1/models/a%20b:predict',
      '/v1/models/a%0d%0ab:predict',
      '/v1/models/a/b:predict',
      '/v1/models/:predict',
      '/v1/models/m:predict/',
      '/v2/models/m/ready',
      '/v2/models/m/infer/x',
      '/v2/models//infer',
      '/v2/models/%2e%2e/infer',
      '//v2/models/m/infer',
    ]) {
      assert.is(recognise('POST', path, json), null, path);
    }
    assert.is(recognise('GET', '/v1/models/m:predict', json), null);
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/jsonp' },
      { 'content-type': 'application/cloudevents+json' },
      { ...json, 'content-encoding': 'gzip' },
      { ...json, 'ce-id': '1' },
      { 'content-type': 'application/octet-stream' },
      { 'content-type': 'application/vnd.sagemaker-triton', 'inference-header-content-length': '20' },
    ]) {
      assert.is(recognise('POST', '/v2/models/m/infer', headers), null, JSON.stringify(headers));
    }
  });

  test('knows V2 with raw tensors by its header; V1 has none', () => {
    for (const type of ['application/octet-stream', 'application/json', undefined]) {
      const headers = { 'inference-header-content-length': '20', ...(type ? { 'content-type': type } : {}) };
      assert.is(recognise('POST', '/v2/models/m/infer', headers), 'v2', type);
      assert.is(recognise('POST', '/v1/models/m:predict', headers), null, type);
    }
  });

  test('knows ModelInfer of gRPC, over HTTP/2 alone', () => {
    const path = '/inference.GRPCInferenceService/ModelInfer';
    const message = { 'content-type': 'application/grpc' };
    assert.is(recognise('POST', path, message, 2), 'grpc');
    assert.is(recognise('POST', path, { 'content-type': 'application/grpc+proto' }, 2), 'grpc');
    assert.is(recognise('POST', path, message), null);
    assert.is(recognise('GET', path, message, 2), null);
    for (const other of [`${path}s`, `${path}?x=1`, '/inference.GRPCInferenceService/ModelReady', '/a.B/ModelInfer']) {
      assert.is(recognise('POST', other, message, 2), null, other);
    }
    for (const type of ['application/grpc+json', 'application/grpc-web', 'application/json', '']) {
      assert.is(recognise('POST', path, { 'content-type': type }, 2), null, type);
    }
  });

  test('knows V1 predict and V2 infer, with and without a version and a query', () => {
    for (const [path, protocol] of [
      ['/v1/models/m:predict', 'v1'],
      ['/v1/models/m-1.2_x~y:predict?a=b%20c', 'v1'],
      ['/v1/models/m/versions/3:predict', 'v1'],
      ['/v2/models/m/infer', 'v2'],
      ['/v2/models/m/versions/3/infer?x', 'v2'],
    ] as const) {
      assert.is(recognise('POST', path, {}), protocol, path);
      assert.is(recognise('POST', path, { 'content-type': 'application/json; charset=utf-8' }), protocol);
    }
  });
});
