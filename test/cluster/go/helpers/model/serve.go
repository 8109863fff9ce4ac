package main

import (
	"encoding/json"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// model runs calls, `parallel` of them at a time, and counts.
type model struct {
	settings
	host  string
	slots chan struct{} // Go's channels let senders in in order of arrival

	mutex sync.Mutex
	stats stats
}

// stats is what GET /stats answers.
type stats struct {
	Calls         int `json:"calls"`
	Items         int `json:"items"`
	Refused       int `json:"refused"`
	Present       int `json:"present"`       // calls that wait or run
	PresentMax    int `json:"presentMax"`    // most of them at a time
	ItemsMax      int `json:"itemsMax"`      // items of the largest call
	BusyMs        int `json:"busyMs"`        // time in which calls ran
	SingleItem    int `json:"singleItem"`    // calls with one item
	LeftUnstarted int `json:"leftUnstarted"` // callers that were gone before their turn
}

func newModel(s settings) *model {
	host, _ := os.Hostname()
	return &model{settings: s, host: host, slots: make(chan struct{}, s.parallel)}
}

func (m *model) handler() http.Handler {
	mux := http.NewServeMux()
	ready := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	mux.HandleFunc("GET /healthz", ready)
	mux.HandleFunc("GET /v2/health/live", ready)
	mux.HandleFunc("GET /v2/health/ready", ready)
	mux.HandleFunc("GET /v2", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"name": "slow-model", "version": m.version, "extensions": []string{}})
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"models": []string{m.name}})
	})
	mux.HandleFunc("GET /v1/models/{name}", m.named(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]any{"name": r.PathValue("name"), "ready": true})
	}))
	mux.HandleFunc("GET /v2/models/{name}", m.named(m.describe))
	mux.HandleFunc("GET /v2/models/{name}/ready", m.named(ready))
	mux.HandleFunc("POST /v1/models/{call}", func(w http.ResponseWriter, r *http.Request) {
		name, verb, _ := strings.Cut(r.PathValue("call"), ":")
		r.SetPathValue("name", name)
		if verb != "predict" {
			refuse(w, http.StatusNotFound, "the verb is predict")
			return
		}
		m.named(m.predict)(w, r)
	})
	mux.HandleFunc("POST /v2/models/{name}/infer", m.named(m.infer))
	mux.HandleFunc("POST /v2/models/{name}/versions/{version}/infer", m.named(m.infer))
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		m.mutex.Lock()
		now := m.stats
		m.mutex.Unlock()
		answer(w, http.StatusOK, now)
	})
	return mux
}

// named answers 404 where the path names another model.
func (m *model) named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-model-host", m.host)
		w.Header().Set("x-model-version", m.version)
		if name := r.PathValue("name"); m.name != "" && name != m.name {
			refuse(w, http.StatusNotFound, "there is no model "+name)
			return
		}
		next(w, r)
	}
}

// run takes the time that a call of so many items takes. It reports whether the call may be answered; if not, it has been.
func (m *model) run(w http.ResponseWriter, r *http.Request, items int) bool {
	if m.maxItems > 0 && items > m.maxItems {
		m.count(func(s *stats) { s.Refused++ })
		refuse(w, http.StatusRequestEntityTooLarge, "too many items")
		return false
	}
	m.count(func(s *stats) {
		s.Present++
		s.PresentMax = max(s.PresentMax, s.Present)
	})
	defer m.count(func(s *stats) { s.Present-- })
	select {
	case m.slots <- struct{}{}:
	case <-r.Context().Done():
		m.count(func(s *stats) { s.LeftUnstarted++ })
		return false
	}
	took := m.base + time.Duration(items)*m.slope
	time.Sleep(took)
	<-m.slots
	m.count(func(s *stats) {
		s.Calls++
		s.Items += items
		s.ItemsMax = max(s.ItemsMax, items)
		s.BusyMs += int(took / time.Millisecond)
		if items == 1 {
			s.SingleItem++
		}
	})
	if rand.Intn(100) < m.failPercent {
		refuse(w, http.StatusInternalServerError, "this call was chosen to fail")
		return false
	}
	return true
}

func (m *model) count(change func(*stats)) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	change(&m.stats)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}
