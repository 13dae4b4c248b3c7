// Package stanza has the three stanzas of XMPP (RFC 6120 §8, RFC 6121), their errors, and the element builder.
// It reads and writes elements and does no I/O: a stream sends what is made here.
//
// # Making
//
// A stanza is made by [NewIQ], [NewMessage] or [NewPresence], its content by a [Builder]:
//
//	iq := stanza.NewIQ(stanza.Set, to, stanza.New("query", "jabber:iq:register").
//		C("username").T("juliet").Up().
//		C("password").T(pw))
//
//	m := stanza.NewMessage(stanza.Chat, to, "Wherefore art thou?")
//	m.C("request", "urn:xmpp:receipts")
//
// What takes an [Elementer] takes a stanza, a builder, an error, or an element wrapped by [Raw], and copies it.
// An answer is made from what it answers: [Message.Reply], [IQ.Result], [IQ.Error].
// They are nil where no answer may be given, and sending nil is an error, not a panic.
//
// # Reading
//
// [IQ], [Message] and [Presence] hold an [github.com/beevik/etree] tree and read from it each time.
// They do not embed the element: etree's own lookups ignore namespaces,
// so that a foreign q:from or a foreign <body/> would pass for the real one.
// The getters here, and the functions for any element ([Child], [Children], [Attr], [Text], [AttrInt] …),
// go by namespace and name, and take attributes without a prefix only.
//
// A getter never fails: what is missing or malformed reads as the zero value or as the default given.
// Getters may be called on nil and zero stanzas.
//
// Every stanza has the namespace jabber:client, whatever the namespace of the stream's content is,
// and its declaration is the first attribute. A setter keeps that so.
//
// # Sharing
//
// Reading writes nothing, so goroutines may share a stanza that nobody changes.
// A stanza that a stream has delivered is shared: Copy it before changing it.
// Copy keeps the type; [Detach] cuts one element out, with the declarations that it needs.
//
// # Secrets
//
// Stanzas and builders are printed by fmt, and marshalled to JSON, without their content:
// only [Compact] and [Pretty] show it, to those who ask.
package stanza
