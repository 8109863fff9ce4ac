package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestBrokenQuestionsAreNotAnswered(t *testing.T) {
	good := question("a.default.svc.cluster.local", typeA)
	for length := range len(good) {
		if answerTo(good[:length], &services{}) != nil {
			t.Errorf("%d bytes of a question were answered", length)
		}
	}
}

func TestNamesOfServicesAreAnswered(t *testing.T) {
	known := &services{}
	address := service{Metadata: metadata{Namespace: "default", Name: "a"}}
	address.Spec.ClusterIP = "10.96.1.2"
	headless := service{Metadata: metadata{Namespace: "default", Name: "headless"}}
	headless.Spec.ClusterIP = "None"
	alias := service{Metadata: metadata{Namespace: "other", Name: "alias"}}
	alias.Spec.Type, alias.Spec.ExternalName = "ExternalName", "a.default.svc.cluster.local"
	circle := service{Metadata: metadata{Namespace: "other", Name: "circle"}}
	circle.Spec.Type, circle.Spec.ExternalName = "ExternalName", "circle.other.svc.cluster.local"
	known.replace([]service{address, headless, alias, circle})

	ip := []byte{10, 96, 1, 2}
	cases := []struct {
		name  string
		asked int
		code  byte
		ip    []byte
	}{
		{"a.default.svc.cluster.local", typeA, 0, ip},
		{"A.Default.svc", typeA, 0, ip},
		{"alias.other.svc.cluster.local", typeA, 0, ip},
		{"a.default.svc.cluster.local", 28, 0, nil},
		{"headless.default.svc.cluster.local", typeA, 0, nil},
		{"circle.other.svc.cluster.local", typeA, nameNotFound, nil},
		{"missing.default.svc.cluster.local", typeA, nameNotFound, nil},
		{"example.com", typeA, nameNotFound, nil},
	}
	for _, each := range cases {
		answer := answerTo(question(each.name, each.asked), known)
		if code := answer[3] & 15; code != each.code {
			t.Errorf("%s type %d: code %d", each.name, each.asked, code)
		}
		if (answer[7] == 1) != (each.ip != nil) || !bytes.HasSuffix(answer, each.ip) {
			t.Errorf("%s type %d: % x", each.name, each.asked, answer)
		}
	}
}

func question(name string, kind int) []byte {
	packet := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range strings.Split(name, ".") {
		packet = append(packet, byte(len(label)))
		packet = append(packet, label...)
	}
	return append(packet, 0, 0, byte(kind), 0, 1)
}
