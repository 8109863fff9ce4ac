/** Files of the chart of everything but the definitions, that follow from no manifest. */
export function chartTexts(version: string): Record<string, string> {
  return {
    'Chart.yaml': chartFile('paceline', 'Keeps a latency promise for model serving on KServe and Knative', version),
    'values.yaml': values(version),
    'values.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'templates/_helpers.tpl': helpers,
    'templates/NOTES.txt': notes,
  };
}

/** Files of the chart of the definitions. */
export function crdChartTexts(version: string): Record<string, string> {
  return {
    'Chart.yaml': chartFile('paceline-crds', 'Resource definitions of Paceline, kept when the chart goes', version),
    'values.yaml': '# Nothing to set.\n{}\n',
  };
}

function chartFile(name: string, description: string, version: string): string {
  return `apiVersion: v2
name: ${name}
description: ${description}
type: application
version: ${version}
appVersion: "${version}"
# Admission webhooks have conditions since then.
kubeVersion: ">=1.30.0-0"
`;
}

const values = (version: string) => `image:
  repository: kind.local/paceline
  tag: "${version}"
  # sha256:...; goes before the tag. What companions run is then the same bytes everywhere.
  digest: ""

# Each replica answers webhooks; one of them leads.
replicas: 2

resources:
  limits:
    cpu: "1"
    memory: 384Mi
  requests:
    cpu: 100m
    memory: 160Mi

# debug, info, warn or error
logLevel: info

networkPolicy:
  enabled: true

# Certificates by cert-manager in place of the controller's own.
certManager:
  enabled: false

# PodMonitors, alerts and the Grafana dashboard; needs the Prometheus operator.
prometheus:
  enabled: false

# Istio: the API server is outside of the mesh.
mesh:
  enabled: false
`;

const choice = {
  type: 'object',
  additionalProperties: false,
  required: ['enabled'],
  properties: { enabled: { type: 'boolean' } },
};

const schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  additionalProperties: false,
  properties: {
    global: { type: 'object' },
    image: {
      type: 'object',
      additionalProperties: false,
      required: ['repository'],
      properties: {
        repository: { type: 'string', minLength: 1 },
        tag: { type: 'string' },
        digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
      },
    },
    replicas: { type: 'integer', minimum: 1 },
    resources: { type: 'object' },
    logLevel: { enum: ['debug', 'info', 'warn', 'error'] },
    networkPolicy: choice,
    certManager: choice,
    prometheus: choice,
    mesh: choice,
  },
};

const helpers = `{{- define "paceline.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}
`;

const notes = `Paceline {{ .Chart.AppVersion }} runs in {{ .Release.Namespace }}.

Give a service a latency objective, and its next pods are served within it:

  kubectl annotate inferenceservice NAME paceline.dev/slo=200ms
  kubectl get plp NAME -w

helm uninstall gives everything back first: each object as it was. Where that cannot run (the image is gone),
helm uninstall --no-hooks leaves it out.
`;
