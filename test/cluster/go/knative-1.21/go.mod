module paceline.test/knbins

go 1.25.4

require knative.dev/serving v0.48.1
