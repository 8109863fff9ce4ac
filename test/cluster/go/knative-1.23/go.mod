module paceline.test/knbins

go 1.26.0

require knative.dev/serving v0.50.0
