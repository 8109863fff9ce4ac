package main

import (
	"log"
	"net"
	"strings"
)

const (
	headerBytes  = 12
	typeA        = 1
	ttlSeconds   = 2
	nameNotFound = 3
)

// serveDNS answers questions for Services' IPv4 addresses. Any other name does not exist: nothing leaves the cluster.
func serveDNS(address string, known *services) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	buffer := make([]byte, 1500)
	for {
		length, from, err := socket.ReadFrom(buffer)
		if err != nil {
			continue
		}
		if answer := answerTo(buffer[:length], known); answer != nil {
			socket.WriteTo(answer, from)
		}
	}
}

func answerTo(query []byte, known *services) []byte {
	var labels []string
	at := headerBytes
	for at < len(query) && query[at] != 0 {
		end := at + 1 + int(query[at])
		if end > len(query) {
			return nil
		}
		labels = append(labels, string(query[at+1:end]))
		at = end
	}
	if at+5 > len(query) {
		return nil
	}
	asked := int(query[at+1])<<8 | int(query[at+2])
	answer := append([]byte(nil), query[:at+5]...)
	answer[2], answer[3] = 0x85, 0x80 // an authoritative answer; recursion is offered
	copy(answer[4:headerBytes], []byte{0, 1, 0, 0, 0, 0, 0, 0})

	ip, found := known.lookup(strings.Join(labels, "."))
	v4 := ip.To4()
	switch {
	case !found:
		answer[3] |= nameNotFound
	case asked == typeA && v4 != nil:
		answer[7] = 1
		answer = append(answer, 0xc0, headerBytes, 0, typeA, 0, 1, 0, 0, 0, ttlSeconds, 0, 4)
		answer = append(answer, v4...)
	}
	return answer
}
