package micro

import (
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

// encodeOurs builds the message's tree with the public builders and serialises it, as Send does.
func encodeOurs() Candidate {
	to := jid.MustParse(Sample.To)
	var buf []byte
	return Candidate{Name: "ours", Module: "this library", Yields: "tree and validated bytes", Remark: "makes an unguessable id, too", Run: func() (err error) {
		buf, err = xmlstream.AppendElement(buf[:0], oursOut(to, Sample).Element(), stanza.NSClient)
		return err
	}}
}

func oursOut(to jid.JID, s Message) *stanza.Message {
	m := stanza.NewMessage(stanza.Chat, to, s.Body)
	m.C("request", nsReceipts)
	m.C("origin-id", nsSID).A("id", m.ID())
	return m
}
