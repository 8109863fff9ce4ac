// gateway is the test cluster's way in and its DNS: it routes by host to Services, splits by percent as Knative's and
// Kubernetes' Ingress objects ask, and answers names of Services. It is small on purpose; what it leaves out (probing before
// it reports an ingress ready, TLS, timeouts of its own) no test here depends on.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

func main() {
	server := flag.String("api", "", "address of the API server")
	ca := flag.String("ca", "", "file with the API server's certificate authority")
	certificate := flag.String("cert", "", "file with the client certificate")
	key := flag.String("key", "", "file with the client certificate's key")
	dns := flag.String("dns", "", "address to answer DNS at")
	listen := flag.String("http", "", "address to answer HTTP/1.1 and h2c at")
	class := flag.String("class", "", "class of Knative's ingresses")
	plainClass := flag.String("plain-class", "", "class of Kubernetes' ingresses")
	loadBalancer := flag.String("load-balancer", "", "host name of the Service in front of this program")
	flag.Parse()

	client, err := connect(*server, *ca, *certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	known := &services{byKey: map[string]service{}}
	behind := newEndpoints()
	table := newRoutes()
	go follow(client, "/api/v1/services", known.replace, known.change)
	go follow(client, "/apis/discovery.k8s.io/v1/endpointslices", behind.replace, behind.change)
	go followKnative(client, *class, *loadBalancer, table)
	go followPlain(client, *plainClass, table)
	go serveDNS(*dns, known)

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	front := &http.Server{Addr: *listen, Handler: proxy(table, known, behind), Protocols: &protocols}
	log.Fatal(front.ListenAndServe())
}

// proxy forwards a request to a pod of the Service that its route names, or to its address where no pod is known.
func proxy(table *routes, known *services, behind *endpoints) http.Handler {
	http1 := &http.Transport{MaxIdleConnsPerHost: 500, DisableCompression: true}
	var onlyH2C http.Protocols
	onlyH2C.SetUnencryptedHTTP2(true)
	h2c := &http.Transport{Protocols: &onlyH2C, DisableCompression: true}

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, to, ok := table.pick(r)
		if !ok {
			http.Error(w, "no ingress has the host "+r.Host, http.StatusNotFound)
			return
		}
		ip, _ := known.lookup(to.service + "." + to.namespace + ".svc")
		if ip == nil {
			http.Error(w, fmt.Sprintf("Service %s/%s has no address", to.namespace, to.service), http.StatusServiceUnavailable)
			return
		}
		port, portName, speaksH2C := known.port(to.namespace, to.service, to.port)
		transport := http1
		if speaksH2C {
			transport = h2c
		}
		another := func() (string, bool) { return behind.next(to.namespace, to.service, portName) }
		address, isKnown := another()
		if !isKnown {
			address = fmt.Sprintf("%s:%d", ip, port)
		}
		target := &url.URL{Scheme: "http", Host: address}
		(&httputil.ReverseProxy{Transport: attempts{transport, another}, FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
			p.Out.Host = r.Host
			for name, value := range to.appendHeaders {
				p.Out.Header.Set(name, value)
			}
			for name, value := range route.appendHeaders {
				p.Out.Header.Set(name, value)
			}
		}}).ServeHTTP(w, r)
	})
}
