module paceline.test/helpers

go 1.25.0
