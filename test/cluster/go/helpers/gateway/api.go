package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	watchFor   = 5 * time.Minute
	retryAfter = 300 * time.Millisecond
)

// api is as much of a Kubernetes client as this program needs.
type api struct {
	server string
	client *http.Client
}

type metadata struct {
	Name, Namespace, ResourceVersion string
	Generation                       int64
	Annotations, Labels              map[string]string
}

func (m metadata) key() string { return m.Namespace + "/" + m.Name }

func connect(server, caFile, certFile, keyFile string) (*api, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}}
	return &api{server, &http.Client{Transport: &http.Transport{TLSClientConfig: config}}}, nil
}

func (a *api) mergePatch(path string, body any) error {
	text, _ := json.Marshal(body)
	request, _ := http.NewRequest("PATCH", a.server+path, bytes.NewReader(text))
	request.Header.Set("content-type", "application/merge-patch+json")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode > 299 {
		answer, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}

// follow keeps up with all objects below path for ever: replace gets the whole list each time it is read, change one event.
func follow[T any](a *api, path string, replace func([]T), change func(kind string, object T)) {
	for {
		followOnce(a, path, replace, change)
		time.Sleep(retryAfter)
	}
}

func followOnce[T any](a *api, path string, replace func([]T), change func(kind string, object T)) {
	ctx, cancel := context.WithTimeout(context.Background(), watchFor)
	defer cancel()
	var list struct {
		Metadata metadata
		Items    []T
	}
	response, err := a.get(ctx, path)
	if err != nil {
		return
	}
	err = json.NewDecoder(response.Body).Decode(&list)
	response.Body.Close()
	if err != nil {
		return
	}
	replace(list.Items)

	stream, err := a.get(ctx, path+"?watch=1&resourceVersion="+list.Metadata.ResourceVersion)
	if err != nil {
		return
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct {
			Type   string
			Object json.RawMessage
		}
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Type == "ERROR" {
			return
		}
		var object T
		if json.Unmarshal(event.Object, &object) == nil {
			change(event.Type, object)
		}
	}
}

func (a *api) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", a.server+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return response, err
}
