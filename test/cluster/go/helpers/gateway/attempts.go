package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

const (
	attemptsMax = 3
	// Longer bodies, and those of unknown length, are sent once.
	keptBytesMax = 1 << 20
)

// attempts asks another pod where no connection to the first one could be made, as the proxies of real ingresses do by
// default: nothing of the request has reached anybody then. A pod that died counts as ready until its kubelet has said so.
type attempts struct {
	transport http.RoundTripper
	// another is the address whose turn it is.
	another func() (address string, ok bool)
}

func (a attempts) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil && (request.ContentLength <= 0 || request.ContentLength > keptBytesMax) {
		return a.transport.RoundTrip(request)
	}
	var kept []byte
	if request.Body != nil {
		var err error
		kept, err = io.ReadAll(request.Body)
		request.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		each := request.Clone(request.Context())
		if request.Body != nil {
			// With it the transport itself repeats what a connection that had died in the pool never carried.
			each.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(kept)), nil }
			each.Body, _ = each.GetBody()
		}
		response, err := a.transport.RoundTrip(each)
		var failed *net.OpError
		if err == nil || attempt == attemptsMax || !errors.As(err, &failed) || failed.Op != "dial" {
			return response, err
		}
		address, ok := a.another()
		if !ok {
			return nil, err
		}
		request.URL.Host = address
	}
}
