// model is a model server that takes time without using the processor: a call of n items sleeps BASE_MS + SLOPE_MS x n,
// and PARALLEL calls (one by default) run at a time, in order of arrival. Its answers depend on the input alone, so that a
// caller can tell whether it got its own. It serves the V1 and V2 JSON protocols, over HTTP/1.1 and h2c.
//
//	BASE_MS       time of a call, milliseconds (50)
//	SLOPE_MS      time an item adds, milliseconds (5)
//	MAX_ITEMS     items a call may have; more are refused with 413 (0: any number)
//	PARALLEL      calls that run at the same time (1)
//	STARTUP_MS    time until the server listens (0)
//	FAIL_PERCENT  calls that are answered with 500, chosen at random (0)
//	NAME          name of the model; other names are answered with 404 (empty: any name)
//	VERSION       reported in V2 answers and in the header x-model-version (1)
//	PORT          port to listen on (8080)
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

type settings struct {
	base, slope, startup            time.Duration
	maxItems, parallel, failPercent int
	name, version, port             string
}

func main() {
	s := settings{
		base:        milliseconds("BASE_MS", 50),
		slope:       milliseconds("SLOPE_MS", 5),
		startup:     milliseconds("STARTUP_MS", 0),
		maxItems:    int(number("MAX_ITEMS", 0)),
		parallel:    int(number("PARALLEL", 1)),
		failPercent: int(number("FAIL_PERCENT", 0)),
		name:        text("NAME", ""),
		version:     text("VERSION", "1"),
		port:        text("PORT", "8080"),
	}
	if s.parallel < 1 {
		log.Fatal("PARALLEL must be at least 1")
	}
	time.Sleep(s.startup)

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: ":" + s.port, Handler: newModel(s).handler(), Protocols: &protocols}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	fmt.Printf("model listens on %s: %v + %v an item, %d at a time\n", s.port, s.base, s.slope, s.parallel)
	<-stop.Done()
	deadline, release := context.WithTimeout(context.Background(), 30*time.Second)
	defer release()
	server.Shutdown(deadline)
}

func text(name, otherwise string) string {
	if value, ok := os.LookupEnv(name); ok && value != "" {
		return value
	}
	return otherwise
}

func number(name string, otherwise float64) float64 {
	value := text(name, "")
	if value == "" {
		return otherwise
	}
	parsed, err := strconv.ParseFloat(value, 64)
	if err != nil || parsed < 0 {
		log.Fatalf("%s=%q is not a number of at least 0", name, value)
	}
	return parsed
}

func milliseconds(name string, otherwise float64) time.Duration {
	return time.Duration(number(name, otherwise) * float64(time.Millisecond))
}
