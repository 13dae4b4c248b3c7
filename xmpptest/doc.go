// Package xmpptest provides an XMPP server for tests, as net/http/httptest does for HTTP.
//
//	srv := xmpptest.NewServer(t)
//	juliet := srv.Client(t, "juliet")
//	romeo := srv.Client(t, "romeo", xmpp.Delegate{Message: …})
//	err := juliet.Send(ctx, stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "Art thou not Romeo?"))
//
// The server has accounts, rosters, subscriptions and an offline store, secures and authenticates its streams,
// and resumes their sessions ([StreamManagement]).
// Beyond that it can do, and announces by service discovery (XEP-0030), what [Without] takes away again:
//
//	| what                                          | namespace                                                       |
//	|-----------------------------------------------|-----------------------------------------------------------------|
//	| roster versioning (RFC 6121 §2.6)             | urn:xmpp:features:rosterver                                     |
//	| pre-approval of subscriptions (RFC 6121 §3.4) | urn:xmpp:features:pre-approval                                  |
//	| discovery itself (XEP-0030)                   | http://jabber.org/protocol/disco#info, …#items                  |
//	| vCards (XEP-0054)                             | vcard-temp                                                      |
//	| private XML storage (XEP-0049)                | jabber:iq:private                                               |
//	| blocking (XEP-0191)                           | urn:xmpp:blocking                                               |
//	| ping, version, time, last activity            | urn:xmpp:ping, jabber:iq:version, urn:xmpp:time, jabber:iq:last |
//
// [WithRooms] adds rooms (XEP-0045), [WithPEP] nodes of accounts (XEP-0163), [WithSASL2] the login of XEP-0388 with all that is inside it,
// [WithLogin] what older and other servers do, [WithTamper] what none should.
//
// [WithRegistration] lets clients make accounts (XEP-0077), by [Server.Invitation] too; [Server.AddComponent] is for programs that serve a domain (XEP-0114).
// The same sessions go over WebSocket (RFC 7395) at [Server.WebSocketURL] and over BOSH (XEP-0124) at [Server.BOSHURL], which host-meta (XEP-0156) lists.
//
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
