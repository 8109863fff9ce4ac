package main

import (
	"fmt"
	"log"
	"time"
)

const (
	knativeIngresses = "/apis/networking.internal.knative.dev/v1alpha1/ingresses"
	plainIngresses   = "/apis/networking.k8s.io/v1/ingresses"
	classAnnotation  = "networking.knative.dev/ingress.class"
)

// knativeIngress is what Knative asks of its ingress, as far as it is honoured here: hosts, paths, headers and splits.
type knativeIngress struct {
	Metadata metadata
	Spec     struct {
		Rules []struct {
			Hosts []string
			HTTP  struct {
				Paths []struct {
					Path          string
					Headers       map[string]struct{ Exact string }
					AppendHeaders map[string]string
					Splits        []struct {
						ServiceNamespace, ServiceName string
						ServicePort                   any
						Percent                       int
						AppendHeaders                 map[string]string
					}
				}
			}
		}
	}
	Status struct{ ObservedGeneration int64 }
}

func (k knativeIngress) routes() []hostRoute {
	var found []hostRoute
	for _, rule := range k.Spec.Rules {
		for _, from := range rule.HTTP.Paths {
			to := path{prefix: from.Path, appendHeaders: from.AppendHeaders, headers: map[string]string{}}
			for name, value := range from.Headers {
				to.headers[name] = value.Exact
			}
			for _, each := range from.Splits {
				to.splits = append(to.splits, split{each.ServiceNamespace, each.ServiceName, each.ServicePort, each.Percent, each.AppendHeaders})
			}
			for _, host := range rule.Hosts {
				found = append(found, hostRoute{host, to})
			}
		}
	}
	return found
}

// plainIngress is an Ingress of Kubernetes: what KServe makes in Standard mode.
type plainIngress struct {
	Metadata metadata
	Spec     struct {
		IngressClassName string
		Rules            []struct {
			Host string
			HTTP struct {
				Paths []struct {
					Path, PathType string
					Backend        struct {
						Service struct {
							Name string
							Port struct {
								Name   string
								Number float64
							}
						}
					}
				}
			}
		}
	}
}

func (p plainIngress) routes() []hostRoute {
	var found []hostRoute
	for _, rule := range p.Spec.Rules {
		for _, from := range rule.HTTP.Paths {
			service := from.Backend.Service
			var port any = service.Port.Number
			if service.Port.Name != "" {
				port = service.Port.Name
			}
			// KServe writes its paths as regular expressions: "/" or "/.*".
			to := path{prefix: trimPattern(from.Path), exact: from.PathType == "Exact"}
			to.splits = []split{{namespace: p.Metadata.Namespace, service: service.Name, port: port, percent: 100}}
			found = append(found, hostRoute{rule.Host, to})
		}
	}
	return found
}

func trimPattern(path string) string {
	if len(path) > 1 && path[len(path)-2:] == ".*" {
		return path[:len(path)-2]
	}
	return path
}

func followKnative(a *api, class, loadBalancer string, table *routes) {
	ours := func(k knativeIngress) bool { return k.Metadata.Annotations[classAnnotation] == class }
	report := func(k knativeIngress) {
		if k.Status.ObservedGeneration == k.Metadata.Generation {
			return
		}
		if err := reportReady(a, k.Metadata, loadBalancer); err != nil {
			log.Println("status of", k.Metadata.key(), err)
		}
	}
	follow(a, knativeIngresses, func(list []knativeIngress) {
		all := map[string][]hostRoute{}
		for _, each := range list {
			if ours(each) {
				all[each.Metadata.key()] = each.routes()
			}
		}
		table.replace("knative", all)
		for _, each := range list {
			if ours(each) {
				report(each)
			}
		}
	}, func(kind string, changed knativeIngress) {
		if kind == "DELETED" || !ours(changed) {
			table.set("knative", changed.Metadata.key(), nil)
			return
		}
		table.set("knative", changed.Metadata.key(), changed.routes())
		report(changed)
	})
}

func followPlain(a *api, class string, table *routes) {
	follow(a, plainIngresses, func(list []plainIngress) {
		all := map[string][]hostRoute{}
		for _, each := range list {
			if each.Spec.IngressClassName == class {
				all[each.Metadata.key()] = each.routes()
			}
		}
		table.replace("plain", all)
	}, func(kind string, changed plainIngress) {
		var now []hostRoute
		if kind != "DELETED" && changed.Spec.IngressClassName == class {
			now = changed.routes()
		}
		table.set("plain", changed.Metadata.key(), now)
	})
}

// reportReady says that an ingress is programmed: it is from the moment its routes are in the table.
func reportReady(a *api, of metadata, loadBalancer string) error {
	now := time.Now().UTC().Format(time.RFC3339)
	var conditions []any
	for _, kind := range []string{"LoadBalancerReady", "NetworkConfigured", "Ready"} {
		conditions = append(conditions, map[string]any{"type": kind, "status": "True", "lastTransitionTime": now})
	}
	balancer := map[string]any{"ingress": []any{map[string]any{"domainInternal": loadBalancer}}}
	path := fmt.Sprintf("/apis/networking.internal.knative.dev/v1alpha1/namespaces/%s/ingresses/%s/status", of.Namespace, of.Name)
	return a.mergePatch(path, map[string]any{"status": map[string]any{
		"observedGeneration": of.Generation, "conditions": conditions,
		"publicLoadBalancer": balancer, "privateLoadBalancer": balancer,
	}})
}
