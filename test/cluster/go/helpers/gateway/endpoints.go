package main

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

const serviceNameLabel = "kubernetes.io/service-name"

// endpoints knows the ready addresses behind every Service, by EndpointSlices, and takes turns among them with each request,
// as the proxies of real ingresses do. A connection to a Service's own address always leads to the same pod: with connections
// that are kept, the pod that was there first would get most of the load.
type endpoints struct {
	mutex  sync.RWMutex
	slices map[string]endpointSlice
	// By service: what turn is added to finds all of its slices.
	byService map[string]map[string]endpointSlice
	turn      atomic.Uint64
}

type endpointSlice struct {
	Metadata    metadata
	AddressType string
	Endpoints   []struct {
		Addresses  []string
		Conditions struct{ Ready *bool }
	}
	Ports []struct {
		Name string
		Port int
	}
}

func newEndpoints() *endpoints {
	return &endpoints{slices: map[string]endpointSlice{}, byService: map[string]map[string]endpointSlice{}}
}

func (e *endpoints) replace(list []endpointSlice) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.slices, e.byService = map[string]endpointSlice{}, map[string]map[string]endpointSlice{}
	for _, each := range list {
		e.put(each)
	}
}

func (e *endpoints) change(kind string, changed endpointSlice) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	key := changed.Metadata.key()
	if before, ok := e.slices[key]; ok {
		delete(e.byService[serviceOf(before)], key)
		delete(e.slices, key)
	}
	if kind != "DELETED" {
		e.put(changed)
	}
}

func (e *endpoints) put(slice endpointSlice) {
	if slice.AddressType != "IPv4" {
		return
	}
	key, service := slice.Metadata.key(), serviceOf(slice)
	e.slices[key] = slice
	if e.byService[service] == nil {
		e.byService[service] = map[string]endpointSlice{}
	}
	e.byService[service][key] = slice
}

func serviceOf(slice endpointSlice) string {
	return slice.Metadata.Namespace + "/" + slice.Metadata.Labels[serviceNameLabel]
}

// next is the address whose turn it is, or nothing where no pod of the Service is ready.
func (e *endpoints) next(namespace, service, portName string) (address string, ok bool) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	var ready []string
	for _, slice := range e.byService[namespace+"/"+service] {
		port := 0
		for _, each := range slice.Ports {
			if each.Name == portName {
				port = each.Port
			}
		}
		if port == 0 {
			continue
		}
		for _, each := range slice.Endpoints {
			if len(each.Addresses) > 0 && (each.Conditions.Ready == nil || *each.Conditions.Ready) {
				ready = append(ready, net.JoinHostPort(each.Addresses[0], strconv.Itoa(port)))
			}
		}
	}
	if len(ready) == 0 {
		return "", false
	}
	return ready[e.turn.Add(1)%uint64(len(ready))], true
}
