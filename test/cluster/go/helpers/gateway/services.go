package main

import (
	"net"
	"strings"
	"sync"
)

// services knows the address of every Service.
type services struct {
	mutex sync.RWMutex
	byKey map[string]service
}

type service struct {
	Metadata metadata
	Spec     struct {
		ClusterIP, Type, ExternalName string
		Ports                         []servicePort
	}
}

type servicePort struct {
	Name, AppProtocol string
	Port              int
}

func (s *services) replace(list []service) {
	fresh := make(map[string]service, len(list))
	for _, each := range list {
		fresh[each.Metadata.key()] = each
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.byKey = fresh
}

func (s *services) change(kind string, changed service) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if kind == "DELETED" {
		delete(s.byKey, changed.Metadata.key())
	} else {
		s.byKey[changed.Metadata.key()] = changed
	}
}

// lookup resolves NAME.NAMESPACE.svc..., following ExternalName. A Service without an address is found, with none.
func (s *services) lookup(name string) (ip net.IP, found bool) {
	for range 5 {
		labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
		if len(labels) < 3 || labels[2] != "svc" {
			return nil, false
		}
		s.mutex.RLock()
		at, ok := s.byKey[labels[1]+"/"+labels[0]]
		s.mutex.RUnlock()
		if !ok {
			return nil, false
		}
		if at.Spec.Type != "ExternalName" {
			return net.ParseIP(at.Spec.ClusterIP), true
		}
		name = at.Spec.ExternalName
	}
	return nil, false
}

// port finds a Service's port by its number or name: both, and whether it speaks h2c.
func (s *services) port(namespace, name string, wanted any) (number int, portName string, h2c bool) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	for _, each := range s.byKey[namespace+"/"+name].Spec.Ports {
		asked, isNumber := wanted.(float64)
		if (isNumber && each.Port == int(asked)) || wanted == any(each.Name) {
			kind, _, _ := strings.Cut(each.Name, "-")
			h2c = kind == "h2c" || kind == "http2" || kind == "grpc" || each.AppProtocol == "kubernetes.io/h2c"
			return each.Port, each.Name, h2c
		}
	}
	if asked, isNumber := wanted.(float64); isNumber {
		return int(asked), "", false
	}
	return 0, "", false
}
