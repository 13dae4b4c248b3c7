package reconnect_test

import (
	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// quiet is a Tracker that holds what is lost and does nothing else.
type quiet struct{ e *events }

func (quiet) Sent(xmpp.Unacked) *etree.Element            { return nil }
func (quiet) Flushing()                                   {}
func (quiet) Received(stanza.Stanza) (func(), bool)       { return nil, false }
func (quiet) Posted(stanza.Stanza)                        {}
func (quiet) ReceiveElement(*etree.Element) (bool, error) { return false, nil }
func (quiet) Resumed() *etree.Element                     { return nil }
func (quiet) Closing() []stanza.Elementer                 { return nil }
func (q quiet) Lost(err error) bool                       { q.e.note("held", nil); return true }
func (q quiet) Over(_ []xmpp.Unacked, cause error)        { q.e.note("over", cause) }
