// Package xmpptest provides an XMPP server for tests, as net/http/httptest does for HTTP.
//
//	srv := xmpptest.NewServer(t)
//	juliet := srv.Client(t, "juliet")
//	romeo := srv.Client(t, "romeo", xmpp.Delegate{Message: …})
//	err := juliet.Send(ctx, stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "Art thou not Romeo?"))
//
// The server has accounts, rosters, subscriptions and an offline store, secures and authenticates its streams,
// and resumes their sessions ([StreamManagement]).
// It is dialled in memory, which works in a testing/synctest bubble too, or over loopback TCP at [Server.Addr].
//
// A test of a module plays the server's part by hand: [Pair] gives a stream that is logged in and a [Peer] with
// Expect, Inject and While. A test of the connection itself plays a whole conversation: [Script].
// Faults come from the server ([Server.Kill], [Server.Freeze], and at each step of a login [Server.CutAt])
// or from the connection, to a real server too ([FaultConn], and [FaultDialer] for one connection after another).
// [CheckDelegate] finds callbacks that will never be called.
//
// The server belongs to the test that made it: it ends with the test, and it reports through it.
package xmpptest
