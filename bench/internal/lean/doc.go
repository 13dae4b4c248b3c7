// Package lean is the other end of the wire for measurements in which the client must be the limit:
// an XMPP server that does as little as a server can do for a client to log in (TLS 1.3, PLAIN or SCRAM, bind),
// and then either counts what it is sent or pours messages that were serialised beforehand.
//
// It is no server to test a library against: it routes nothing, checks few things and listens on loopback only.
package lean

// Domain is the domain the server answers for, and Password the password of every account.
const (
	Domain   = "bench.test"
	Password = "bench-pw"
)

// The local part of the address a client logs in with chooses what the server does with the connection.
const (
	UserSink   = "sink"   // counts the messages the client sends
	UserSource = "source" // pours messages into the client when told to
	UserIdle   = "idle"   // leaves the client alone

	// The same with stream management (XEP-0198): the client's requests are answered, and it is asked as real servers do,
	// again as soon as it has answered.
	UserManagedSink   = "sink-sm"
	UserManagedSource = "source-sm"
)
