package main

import (
	"math"
	"net/http/httptest"
	"testing"
)

func TestNothingIsPickedForAHostOrPathNobodyAskedFor(t *testing.T) {
	table := newRoutes()
	table.set("knative", "default/a", []hostRoute{{"a.example.com", path{prefix: "/only", splits: whole("a")}}})
	for _, target := range []string{"http://b.example.com/only", "http://a.example.com/other"} {
		if _, _, ok := table.pick(httptest.NewRequest("GET", target, nil)); ok {
			t.Errorf("%s was picked", target)
		}
	}
}

func TestAnExactPathMatchesNoLongerOne(t *testing.T) {
	table := newRoutes()
	table.set("plain", "default/a", []hostRoute{{"a", path{prefix: "/one", exact: true, splits: whole("a")}}})
	if _, _, ok := table.pick(httptest.NewRequest("GET", "http://a/one/two", nil)); ok {
		t.Error("the longer path was picked")
	}
	if _, _, ok := table.pick(httptest.NewRequest("GET", "http://a:80/one", nil)); !ok {
		t.Error("the path itself was not picked")
	}
}

func TestHeadersAreTriedFirstThenLongerPaths(t *testing.T) {
	table := newRoutes()
	table.set("knative", "default/a", []hostRoute{
		{"a", path{prefix: "", splits: whole("any")}},
		{"a", path{prefix: "/long", splits: whole("long")}},
		{"a", path{headers: map[string]string{"Knative-Serving-Tag": "next"}, splits: whole("tagged")}},
	})
	wanted := map[string]string{"http://a/": "any", "http://a/long/er": "long"}
	for target, service := range wanted {
		if _, to, _ := table.pick(httptest.NewRequest("GET", target, nil)); to.service != service {
			t.Errorf("%s went to %s", target, to.service)
		}
	}
	tagged := httptest.NewRequest("GET", "http://a/long", nil)
	tagged.Header.Set("Knative-Serving-Tag", "next")
	if _, to, _ := table.pick(tagged); to.service != "tagged" {
		t.Errorf("the tagged request went to %s", to.service)
	}
}

func TestSplitsGetTheirPercent(t *testing.T) {
	table := newRoutes()
	splits := []split{{service: "old", percent: 90}, {service: "none", percent: 0}, {service: "new", percent: 10}}
	table.set("knative", "default/a", []hostRoute{{"a", path{splits: splits}}})
	counts := map[string]int{}
	const draws = 20000
	for range draws {
		_, to, _ := table.pick(httptest.NewRequest("GET", "http://a/", nil))
		counts[to.service]++
	}
	if counts["none"] != 0 {
		t.Errorf("0 %% got %d requests", counts["none"])
	}
	// Five standard deviations of a binomial.
	if share := float64(counts["new"]) / draws; math.Abs(share-0.1) > 5*math.Sqrt(0.09/draws) {
		t.Errorf("10 %% got %f", share)
	}
}

func TestReplacingOneKindLeavesTheOther(t *testing.T) {
	table := newRoutes()
	table.set("plain", "default/p", []hostRoute{{"p", path{splits: whole("p")}}})
	table.set("knative", "default/gone", []hostRoute{{"gone", path{splits: whole("gone")}}})
	table.replace("knative", map[string][]hostRoute{"default/k": {{"k", path{splits: whole("k")}}}})
	for host, wanted := range map[string]bool{"p": true, "k": true, "gone": false} {
		if _, _, ok := table.pick(httptest.NewRequest("GET", "http://"+host+"/", nil)); ok != wanted {
			t.Errorf("%s picked: %v", host, ok)
		}
	}
}

func whole(service string) []split { return []split{{service: service, percent: 100}} }
