// Package xmpp is a client library for XMPP: XMPPFramework for Go.
//
// An application makes a [Stream] from a [Config], adds delegates that listen, activates modules that add capabilities,
// and logs in:
//
//	stream, err := xmpp.New(xmpp.Config{JID: account, Credentials: xmpp.Password(password)})
//	stream.AddDelegate(xmpp.DelegateOf(listener))
//	err = stream.Login(ctx)
//
// # Connecting
//
// [Stream.Login] is [Stream.Connect], which finds the server, connects and secures the stream;
// [Stream.Authenticate], which logs in and binds a resource; and initial presence. Without options TLS is required,
// the certificate is checked against the domain of the account, and the password is never shown to the server.
// [Stream.Wait] blocks until the connection has ended, [Stream.Close] ends it for good.
//
// # Sending
//
// [Stream.Send] queues a stanza, [Stream.SendReceipt] also tells how it ended, and [Stream.SendIQ] asks a question
// and waits for the answer. Stanzas and their payloads come from the package stanza:
//
//	stanza.NewMessage(stanza.Chat, to, "Hello")
//	stanza.NewIQ(stanza.Get, to, stanza.New("query", "jabber:iq:version"))
//
// # Receiving
//
// A [Delegate] is a struct of small interfaces, of which a listener sets those that it implements. Callbacks run on queues,
// one at a time and in stream order, and may call anything: the contract is written down at [Delegate].
// Requests of others are answered by their owner, see [Stream.HandleIQ]; what nobody owns is refused politely.
// [Interceptor]s see stanzas before everybody else and may change or drop them.
//
// # Modules
//
// A [Module] is a capability with state of its own, such as modules/ping; package modules is their index.
// A module of one's own embeds [ModuleBase], and can do all that those can.
//
// # Testing
//
// Package xmpptest is an XMPP server for tests, as net/http/httptest is for HTTP.
package xmpp
