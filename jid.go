package xmpp

import "github.com/go-xmppframework/xmpp/jid"

// JID is an XMPP address, as defined by RFC 7622: an alias of [jid.JID].
//
// It is a comparable, immutable value, fit for a map key; the zero value means "no address".
// Its main methods:
//   - parts: [jid.JID.Local], [jid.JID.Domain], [jid.JID.Resource], [jid.JID.String];
//   - forms: [jid.JID.Bare], [jid.JID.DomainJID], [jid.JID.WithResource];
//   - questions: [jid.JID.IsZero], [jid.JID.IsBare], [jid.JID.IsFull], [jid.JID.EqualMask].
type JID = jid.JID

// ParseJID parses and normalises an address. See [jid.Parse].
func ParseJID(s string) (JID, error) { return jid.Parse(s) }

// MustParseJID is [ParseJID] for addresses known to be right: it panics on an error.
func MustParseJID(s string) JID { return jid.MustParse(s) }

// NewJID builds an address from its parts; an empty localpart or resourcepart means none.
// See [jid.New].
func NewJID(local, domain, resource string) (JID, error) { return jid.New(local, domain, resource) }
