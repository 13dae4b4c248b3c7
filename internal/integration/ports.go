package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below the range that the kernel hands out for outgoing connections (from 32768 on),
// so that a port stays free while a server is restarted.
const firstPort, lastPort = 16000, 32000

// freePorts returns a port for every purpose, all free on 127.0.0.1 at this moment, for TCP and UDP.
func freePorts() ([numPorts]uint16, error) {
	var ports [numPorts]uint16
	var held []interface{ Close() error } // held until all are chosen, so that they differ
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	n := 0
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		held = append(held, l)
		u, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		held = append(held, u)
		ports[n] = uint16(port)
		if n++; n == len(ports) {
			return ports, nil
		}
	}
	return ports, fmt.Errorf("no free ports on 127.0.0.1 between %d and %d", firstPort, lastPort)
}
