package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// transportOf answers by host, and notes what was sent where.
type transportOf struct {
	answers map[string]error
	sent    []string
}

func (t *transportOf) RoundTrip(request *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(request.Body)
	t.sent = append(t.sent, request.URL.Host+" "+string(body))
	if err := t.answers[request.URL.Host]; err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

var refused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

func ask(t *testing.T, transport *transportOf, body io.Reader) error {
	request, err := http.NewRequest(http.MethodPost, "http://first/", body)
	if err != nil {
		t.Fatal(err)
	}
	another := func() (string, bool) { return "second", true }
	_, err = attempts{transport, another}.RoundTrip(request)
	return err
}

func TestWhatReachedNobodyIsSentToAnotherPod(t *testing.T) {
	transport := &transportOf{answers: map[string]error{"first": refused}}
	if err := ask(t, transport, strings.NewReader("all of it")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(transport.sent, ", "); got != "first all of it, second all of it" {
		t.Errorf("sent %s", got)
	}
}

func TestWhatMayHaveReachedAPodIsNotSentAgain(t *testing.T) {
	transport := &transportOf{answers: map[string]error{"first": &net.OpError{Op: "read", Err: errors.New("reset")}}}
	if err := ask(t, transport, strings.NewReader("x")); err == nil || len(transport.sent) != 1 {
		t.Errorf("%v after %v", err, transport.sent)
	}
}

func TestWhereNobodyListensTheLastErrorIsAnswered(t *testing.T) {
	transport := &transportOf{answers: map[string]error{"first": refused, "second": refused}}
	if err := ask(t, transport, strings.NewReader("x")); !errors.Is(err, refused) || len(transport.sent) != attemptsMax {
		t.Errorf("%v after %v", err, transport.sent)
	}
}

func TestABodyOfUnknownLengthIsSentOnce(t *testing.T) {
	transport := &transportOf{answers: map[string]error{"first": refused}}
	if err := ask(t, transport, io.MultiReader(strings.NewReader("stream"))); err == nil || len(transport.sent) != 1 {
		t.Errorf("%v after %v", err, transport.sent)
	}
}
