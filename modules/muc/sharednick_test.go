package muc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestNickOfTwoClients: two clients of an account, one of which takes another nickname and comes back, as servers tell that one of it.
func TestNickOfTwoClients(t *testing.T) {
	const (
		ask              = "C: <presence to='garden@rooms.test/Montague' id='{c}'/>"
		back             = "C: <presence to='garden@rooms.test/Juliet' id='{d}'/>"
		is               = "<x " + userNS + "><item affiliation='member' role='participant'/></x></presence>"
		is110            = "<x " + userNS + "><item affiliation='member' role='participant'/><status code='110'/></x></presence>"
		juliet, montague = "\nS: <presence from='garden@rooms.test/Juliet' to='{jid}'>", "\nS: <presence from='garden@rooms.test/Montague' to='{jid}'>"
		goes             = "\nS: <presence type='unavailable' from='garden@rooms.test/%s' to='{jid}'><x " + userNS + "><item affiliation='member' role='participant' nick='%s'/><status code='303'/><status code='110'/></x></presence>"
	)
	renamed := func(from, to string) string {
		return strings.Replace(strings.Replace(goes, "%s", from, 1), "%s", to, 1)
	}
	for _, tt := range []struct {
		name, there, again string
		heard              []string
	}{
		{"Prosody", renamed("Juliet", "Montague") + montague + is110 + juliet + is,
			"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x " + userNS + "><item affiliation='member' role='none'/></x></presence>" + renamed("Montague", "Juliet") + juliet + is110,
			[]string{"Juliet is Montague", "~ Montague member/participant self", "+ Juliet member/participant initial=false", "- Juliet left", "Montague is Juliet", "~ Juliet member/participant self"}},
		{"ejabberd", montague + is110, renamed("Montague", "Juliet") + juliet + is110,
			[]string{"Juliet is Montague", "+ Juliet member/participant initial=false", "~ Montague member/participant self", "- Juliet left", "Montague is Juliet", "~ Juliet member/participant self"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			g, peer := act(t, muc.Config{})
			r := enterRoom(t, g, peer, plain)
			var err error
			peer.While(func() { err = r.ChangeNick(t.Context(), "Montague") }, ask+tt.there)
			must(t, err)
			heard := inject(t, g, peer, "<iq type='result' id='none' from='example.test'/>") // whatever came before was received
			if o, ok := r.Occupant("Juliet"); r.Nick() != "Montague" || !r.Self().Self || r.Len() != 2 || !ok || o.Self {
				t.Errorf("as %q, %+v, beside %+v", r.Nick(), r.Self(), o)
			}
			peer.While(func() { err = r.ChangeNick(t.Context(), "Juliet") }, back+tt.again)
			must(t, err)
			heard += "\n" + inject(t, g, peer, "<iq type='result' id='none2' from='example.test'/>")
			if r.Nick() != "Juliet" || !r.Self().Self || r.Len() != 1 || !r.Joined() {
				t.Errorf("as %q, %+v, of %d", r.Nick(), r.Self(), r.Len())
			}
			if want := strings.Join(tt.heard, "\n"); heard != want {
				t.Errorf("heard\n%s\nwant\n%s", heard, want)
			}
		})
	}
	t.Run("somebody else is faster", func(t *testing.T) {
		checkGoroutines(t)
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, plain)
		var err error
		peer.While(func() { err = r.ChangeNick(t.Context(), "Montague") }, ask+montague+is+
			"\nS: <presence type='error' from='garden@rooms.test/Montague' to='{jid}' id='{c}'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		if !errors.Is(err, stanza.Conflict) || r.Nick() != "Juliet" || !r.Self().Self || r.Len() != 2 {
			t.Errorf("ChangeNick: %v; as %q, %+v, of %d", err, r.Nick(), r.Self(), r.Len())
		}
		// What is not asked for is no way to a nickname that somebody has.
		if got := inject(t, g, peer, strings.TrimPrefix(renamed("Juliet", "Montague"), "\nS: ")); !strings.HasSuffix(got, "left: left") || strings.Contains(got, " is ") {
			t.Errorf("heard %s", got)
		}
	})
	t.Run("given up", func(t *testing.T) {
		checkGoroutines(t)
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, plain)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.ChangeNick(ctx, "Montague") }()
		peer.Play(ask)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ChangeNick: %v", err)
		}
		// Without a question, 110 on somebody else's presence says nothing.
		if got := inject(t, g, peer, strings.TrimPrefix(montague, "\nS: ")+is110); got != "+ Montague member/participant initial=false" || r.Nick() != "Juliet" {
			t.Errorf("heard %s, as %q", got, r.Nick())
		}
	})
}
