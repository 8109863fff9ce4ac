package main

import (
	"encoding/json"
	"testing"
)

func sliceOf(t *testing.T, text string) endpointSlice {
	var slice endpointSlice
	if err := json.Unmarshal([]byte(text), &slice); err != nil {
		t.Fatal(err)
	}
	return slice
}

const twoPods = `{"metadata":{"namespace":"a","name":"m-1","labels":{"kubernetes.io/service-name":"m"}},"addressType":"IPv4",
	"ports":[{"name":"http","port":8012},{"name":"metrics","port":9090}],
	"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"]},
		{"addresses":["10.0.0.3"],"conditions":{"ready":false}}]}`

func TestRequestsTakeTurnsAmongReadyPods(t *testing.T) {
	known := newEndpoints()
	known.replace([]endpointSlice{sliceOf(t, twoPods)})
	counts := map[string]int{}
	for range 100 {
		address, _ := known.next("a", "m", "http")
		counts[address]++
	}
	if counts["10.0.0.1:8012"] != 50 || counts["10.0.0.2:8012"] != 50 {
		t.Errorf("not even: %v", counts)
	}
	if address, ok := known.next("a", "m", "other"); ok {
		t.Errorf("a port that is not there leads to %s", address)
	}
}

func TestPodsThatAreGoneGetNothing(t *testing.T) {
	known := newEndpoints()
	known.change("ADDED", sliceOf(t, twoPods))
	known.change("DELETED", sliceOf(t, twoPods))
	if address, ok := known.next("a", "m", "http"); ok {
		t.Errorf("a deleted slice leads to %s", address)
	}
}
