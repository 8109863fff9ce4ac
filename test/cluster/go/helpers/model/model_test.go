package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func serve(s settings) *httptest.Server { return httptest.NewServer(newModel(s).handler()) }

func post(t *testing.T, server *httptest.Server, path, body string) (int, string) {
	t.Helper()
	response, err := http.Post(server.URL+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text := make([]byte, 4096)
	n, _ := response.Body.Read(text)
	return response.StatusCode, strings.TrimSpace(string(text[:n]))
}

func TestRefuses(t *testing.T) {
	server := serve(settings{parallel: 1, maxItems: 2, name: "m"})
	defer server.Close()
	cases := []struct {
		path, body string
		status     int
	}{
		{"/v1/models/m:predict", `{"instances":`, 400},
		{"/v1/models/m:predict", `{}`, 400},
		{"/v1/models/m:predict", `{"instances":[1,2,3]}`, 413},
		{"/v1/models/other:predict", `{"instances":[1]}`, 404},
		{"/v1/models/m:explain", `{"instances":[1]}`, 404},
		{"/v2/models/m/infer", `{"inputs":[]}`, 400},
		{"/v2/models/m/infer", `{"inputs":[{"name":"x","shape":[0],"datatype":"FP64","data":[]}]}`, 400},
		{"/v2/models/m/infer", `{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP64","data":[1,2,3]}]}`, 400},
	}
	for _, each := range cases {
		if status, text := post(t, server, each.path, each.body); status != each.status {
			t.Errorf("%s %s: %d %s", each.path, each.body, status, text)
		}
	}
}

func TestAnswersDependOnTheInputAlone(t *testing.T) {
	server := serve(settings{parallel: 1, version: "7"})
	defer server.Close()
	status, text := post(t, server, "/v1/models/any:predict", `{"instances":[[1,[2,3]],"four",{"a":5},null]}`)
	if status != 200 || text != `{"predictions":[6,4,5,0]}` {
		t.Errorf("%d %s", status, text)
	}
	body := `{"id":"q","inputs":[{"name":"x","shape":[2,2],"datatype":"FP64","data":[1,2,3,4]}]}`
	status, text = post(t, server, "/v2/models/any/infer", body)
	if status != 200 || !strings.Contains(text, `"data":[3,7]`) || !strings.Contains(text, `"id":"q"`) {
		t.Errorf("%d %s", status, text)
	}
}

func TestTakesItsTimeOneAtATime(t *testing.T) {
	server := serve(settings{parallel: 1, base: 20 * time.Millisecond, slope: 5 * time.Millisecond})
	defer server.Close()
	started := time.Now()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() { post(t, server, "/v1/models/m:predict", `{"instances":[1,2]}`) })
	}
	callers.Wait()
	if took := time.Since(started); took < 120*time.Millisecond {
		t.Errorf("four calls of 30 ms took %v", took)
	}
}
