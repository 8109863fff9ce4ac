// Definitions of the operators that overlays are for: only their files are read, nothing of them is built.
module paceline.test/operators

go 1.25.4

require (
	github.com/cert-manager/cert-manager v1.19.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.28.0
)
