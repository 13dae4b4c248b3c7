// Package reliability holds tests of the whole promise, against real servers: stream management and reconnecting together,
// over connections that are cut, servers that are restarted, and clients that are killed.
//
//	XMPP_SOAK=10m go test -run Soak -timeout 20m ./internal/reliability
//
// runs the soak for longer than the seconds that the suite gives it; so does "make soak".
package reliability
