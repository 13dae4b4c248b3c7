package stanza_test

import (
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp/stanza"
)

// TestShared lets goroutines read one stanza and add one builder: reading writes nothing, for the race detector to see.
func TestShared(t *testing.T) {
	var stanzas []stanza.Stanza
	for _, xml := range corpus {
		s, err := stanza.Parse(xml)
		if err != nil {
			t.Fatal(err)
		}
		stanzas = append(stanzas, s)
	}
	request := stanza.New("request", "urn:xmpp:receipts")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, s := range stanzas {
				snapshot(t, s)
				stanza.Compact(s.Element())
				m := stanza.NewMessage(stanza.Chat, s.From(), "b")
				m.Add(request, s)
				useAll(t, s)
			}
		})
	}
	wg.Wait()
	prints(t, "the builder", request.Element(), `<request xmlns='urn:xmpp:receipts'/>`)
}
