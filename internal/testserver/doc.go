// Package testserver is an XMPP server for tests, inside the process of the test.
//
// It has accounts with rosters, subscriptions and an offline store; it speaks STARTTLS and direct TLS, SCRAM with
// channel binding, SASL2 with Bind 2 and tokens, resource binding, stream management, and routes messages, presence and IQs as RFC 6120 and RFC 6121 say.
// It keeps vCards, private XML and block lists, and says of itself what it can do, what it is, what time it is and how long it has been running;
// [Options].Without takes such things away. It listens on
// loopback TCP or is dialled in memory, where it also works in a testing/synctest bubble.
//
// The same sessions go over WebSocket and BOSH ([Server.WebHandler]); components connect at [Server.DialComponent],
// and clients make accounts where [Options].Registration lets them.
//
// For what a well-behaved server never does there are scripts (see [ParseScript]), which decide about every byte,
// and the faults: [Server.Kill], [Server.Freeze], [Server.StreamError], the pipe's own in [Conn].
//
// Everything a Server starts ends in [Server.Close].
package testserver
