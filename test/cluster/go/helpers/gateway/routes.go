package main

import (
	"math/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// routes knows which Service a request goes to. A host's paths are kept in the order in which they are tried: those that
// ask for more headers first, then longer prefixes.
type routes struct {
	mutex  sync.RWMutex
	owners map[string][]hostRoute // what each object contributes, by kind and key
	byHost map[string][]path
}

type hostRoute struct {
	host string
	path path
}

type path struct {
	prefix        string
	exact         bool
	headers       map[string]string
	appendHeaders map[string]string
	splits        []split
}

type split struct {
	namespace, service string
	port               any
	percent            int
	appendHeaders      map[string]string
}

func newRoutes() *routes {
	return &routes{owners: map[string][]hostRoute{}, byHost: map[string][]path{}}
}

// replace exchanges everything that objects of one kind contribute in one step, so that no request meets half a table.
func (r *routes) replace(kind string, contributions map[string][]hostRoute) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for owner := range r.owners {
		if strings.HasPrefix(owner, kind+"/") {
			delete(r.owners, owner)
		}
	}
	for key, each := range contributions {
		r.owners[kind+"/"+key] = each
	}
	r.index()
}

func (r *routes) set(kind, key string, contribution []hostRoute) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(contribution) == 0 {
		delete(r.owners, kind+"/"+key)
	} else {
		r.owners[kind+"/"+key] = contribution
	}
	r.index()
}

func (r *routes) index() {
	r.byHost = map[string][]path{}
	for _, contribution := range r.owners {
		for _, each := range contribution {
			host := strings.ToLower(each.host)
			r.byHost[host] = append(r.byHost[host], each.path)
		}
	}
	for _, paths := range r.byHost {
		slices.SortStableFunc(paths, func(a, b path) int {
			if len(a.headers) != len(b.headers) {
				return len(b.headers) - len(a.headers)
			}
			return len(b.prefix) - len(a.prefix)
		})
	}
}

// pick chooses the path that a request matches, and one of its splits at random by percent.
func (r *routes) pick(request *http.Request) (path, split, bool) {
	host, _, _ := strings.Cut(request.Host, ":")
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	for _, each := range r.byHost[strings.ToLower(host)] {
		if !each.matches(request) {
			continue
		}
		dice := rand.Intn(100)
		for _, candidate := range each.splits {
			if dice -= candidate.percent; dice < 0 {
				return each, candidate, true
			}
		}
	}
	return path{}, split{}, false
}

func (p path) matches(request *http.Request) bool {
	for name, value := range p.headers {
		if request.Header.Get(name) != value {
			return false
		}
	}
	if p.exact {
		return request.URL.Path == p.prefix
	}
	return strings.HasPrefix(request.URL.Path, p.prefix)
}
