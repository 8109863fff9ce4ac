import * as assert from 'uvu/assert';
import { compileRequestLog, knativeTemplate, type LoggedRequest } from '../../src/policy/request-log-template.ts';
import { suite } from '../support/suite.ts';

const headers: Record<string, string> = { 'user-agent': 'curl/8 "x"', referer: '', 'x-tenant': 'a<b' };
const request: LoggedRequest = {
  method: 'POST',
  uri: '/v1/models/m:predict?a=1&b=2',
  host: 'm.example.com',
  protocol: 'HTTP/1.1',
  contentLength: 17,
  remoteAddress: '10.0.0.7:5000',
  header: (name) => headers[name] ?? '',
  code: 200,
  size: 19,
  latency: 0.012345,
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
};
const revision = {
  name: 'm-00001',
  namespace: 'models',
  service: 'm',
  configuration: 'm',
  podName: 'm-00001-x',
  podIp: '10.1.2.3',
};
const line = (template: string) => compileRequestLog(template)(request, revision);

suite('the template of Knative’s request log', (test) => {
  test('what cannot be written is refused, and what can be is named', () => {
    for (const wrong of [
      '{{.Request.Body}}',
      '{{if .TraceID}}x{{end}}',
      '{{constructor .TraceID}}',
      '{{.TraceID | upper}}',
      '{{.TraceID',
      '{{}}',
    ]) {
      assert.throws(
        () => compileRequestLog(wrong),
        /cannot be written: name one of .*Request\.Method|without its/,
        wrong,
      );
    }
  });

  test('Knative’s own gives the line that its queue-proxy writes', () => {
    // The text is what Go's text/template made of the same values.
    assert.is(
      line(knativeTemplate),
      '{"httpRequest": {"requestMethod": "POST", "requestUrl": "/v1/models/m:predict?a\\u003D1\\u0026b\\u003D2", "requestSize": "17", "status": 200, "responseSize": "19", "userAgent": "curl/8 \\"x\\"", "remoteIp": "10.0.0.7:5000", "serverIp": "10.1.2.3", "referer": "", "latency": "0.012345s", "protocol": "HTTP/1.1"}, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}\n',
    );
    const parsed = JSON.parse(line(knativeTemplate)) as { httpRequest: { requestUrl: string } };
    assert.is(parsed.httpRequest.requestUrl, request.uri);
  });

  test('fields, headers and functions, and small numbers as Go prints them', () => {
    assert.is(
      line('{{.Request.Host}} {{ .Revision.Name }} {{.Revision.PodName | js}} {{.Request.Header.Get "X-Tenant"}}'),
      'm.example.com m-00001 m-00001-x a<b\n',
    );
    assert.is(line('{{html .Request.UserAgent}} {{urlquery .Request.URL}}\n').endsWith('b%3D2\n'), true);
    const small = compileRequestLog('{{.Response.Latency}}')({ ...request, latency: 0.00001234 }, revision);
    assert.is(small, '1.234e-05\n');
    assert.is(compileRequestLog('{{.Response.Latency}}')({ ...request, latency: 0 }, revision), '0\n');
  });
});
