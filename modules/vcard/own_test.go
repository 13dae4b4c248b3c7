package vcard_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// stored is the name in the stored own card.
func stored(t *testing.T, v *vcard.VCard) string {
	t.Helper()
	r, err := v.Stored(t.Context(), me)
	switch {
	case err != nil:
		t.Error(err)
	case r == nil:
		return "nothing"
	case r.Card == nil:
		return "none"
	default:
		return r.Card.FormattedName
	}
	return ""
}

// TestUpdate is XEP-0054 section 3.2: the own card is stored when the server has confirmed it.
func TestUpdate(t *testing.T) {
	checkGoroutines(t)
	v, s, peer, e := pair(t, vcard.Config{})
	update := func(c *vcard.Card, want error, transcript string) {
		t.Helper()
		peer.While(func() {
			if err := v.UpdateMyVCard(t.Context(), c); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}, transcript)
	}
	peer.While(func() {
		if err := v.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "a"}); err != nil {
			t.Error(err)
		}
	}, `C: <iq type='set' id='{id}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>
		S: <iq type='result' id='{id}'/>`)
	e.want(t, "updated a")
	if got := stored(t, v); got != "a" {
		t.Error(got)
	}
	if c, err := v.MyVCard(t.Context()); err != nil || c.FormattedName != "a" { // nothing is asked
		t.Error(c, err)
	}
	update(&vcard.Card{FormattedName: "refused"}, stanza.NotAllowed, `
		C: <iq type='set' id='{b}'><vCard xmlns='vcard-temp'><FN>refused</FN></vCard></iq>
		S: <iq type='error' id='{b}'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	e.want(t, "not updated error")
	if got := stored(t, v); got != "nothing" { // a server may have taken a part of it
		t.Errorf("after a refusal %s is stored", got)
	}
	update(&vcard.Card{}, nil, `
		C: <iq type='set' id='{c}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' id='{c}' from='juliet@example.test'/>`)
	e.want(t, "updated ")
	if got := stored(t, v); got != "none" {
		t.Errorf("after the vCard was taken away %s is stored", got)
	}
	update(&vcard.Card{FormattedName: "b"}, nil, `
		C: <iq type='set' id='{d}'><vCard xmlns='vcard-temp'><FN>b</FN></vCard></iq>
		S: <iq type='result' id='{d}'/>`)
	e.want(t, "updated b")
	// Nobody knows whether the server has this one: what was stored is forgotten.
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := v.UpdateMyVCard(ctx, &vcard.Card{FormattedName: "c"}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	peer.Expect(`<iq type='set' id='*'><vCard xmlns='vcard-temp'><FN>c</FN></vCard></iq>`)
	if got := stored(t, v); got != "b" {
		t.Errorf("before the confirmation %s is stored", got)
	}
	cancel()
	wg.Wait()
	e.want(t, "not updated canceled")
	if got := stored(t, v); got != "nothing" {
		t.Errorf("%s is stored", got)
	}
	// What can never work is not sent.
	before := s.Stats().StanzasSent
	big := &vcard.Card{Photo: vcard.NewMedia(make([]byte, 256<<10+1), "image/png")}
	for want, cards := range map[error][]*vcard.Card{xmpp.ErrInvalidParameter: {nil, {Truncated: true}}, vcard.ErrTooBig: {big, {Logo: big.Photo}, {Sound: &vcard.Sound{Media: *big.Photo}}}} {
		for _, c := range cards {
			if err := v.UpdateMyVCard(t.Context(), c); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			e.want(t, "not updated error")
		}
	}
	if err := v.SetMyPhoto(t.Context(), big.Photo.Data, ""); !errors.Is(err, vcard.ErrTooBig) {
		t.Error(err)
	}
	if n := s.Stats().StanzasSent - before; n != 0 {
		t.Errorf("%d stanzas were sent", n)
	}
	// Without a connection all stays as it is.
	peer.While(func() {
		if err := v.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "d"}); err != nil {
			t.Error(err)
		}
	}, `C: <iq type='set' id='{e}'><vCard xmlns='vcard-temp'><FN>d</FN></vCard></iq>
		S: <iq type='result' id='{e}'/>`)
	s.Disconnect()
	_ = s.Wait(t.Context())
	if err := v.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "e"}); err == nil {
		t.Error("no error without a connection")
	}
	e.want(t, "updated d", "not updated error")
	if got := stored(t, v); got != "d" {
		t.Errorf("%s is stored", got)
	}
}

// TestEdit reads, changes and writes; what is unknown, or cannot be read, stays.
func TestEdit(t *testing.T) {
	checkGoroutines(t)
	v, _, peer, e := pair(t, vcard.Config{Limits: vcard.Limits{Media: 8, Text: 10, Entries: 1}})
	const rest = `<LOGO><TYPE>image/svg+xml</TYPE><BINVAL>YWJjZGVmZ2hpamtsbW5vcA==</BINVAL></LOGO><NOTE>longer than ten bytes</NOTE><SOUND><BINVAL>?</BINVAL></SOUND><X-A b='c'><d xmlns='e'/></X-A><NICKNAME xmlns='x'/>`
	peer.While(func() {
		err := v.EditMyVCard(t.Context(), func(c *vcard.Card) error {
			if c.FormattedName != "a" || !errors.Is(c.Logo.Err(), vcard.ErrTooBig) || !errors.Is(c.Sound.Err(), vcard.ErrBadData) || c.Truncated {
				t.Errorf("%+v", c)
			}
			c.FormattedName = "b"
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{a}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' id='{a}'><vCard xmlns='vcard-temp'><FN>a</FN>`+rest+`</vCard></iq>
		C: <iq type='set' id='{b}'><vCard xmlns='vcard-temp'><FN>b</FN>`+rest+`</vCard></iq>
		S: <iq type='result' id='{b}'/>`)
	e.want(t, "updated b")
	if got := stored(t, v); got != "b" {
		t.Error(got)
	}
	photo := []byte("\x89PNG\r\n\x1a\n")
	peer.While(func() {
		if err := v.SetMyPhoto(t.Context(), photo, ""); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{c}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' id='{c}'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>YWJjZGVmZ2hpamtsbW5vcA==</BINVAL></PHOTO><PHOTO><EXTVAL>second</EXTVAL></PHOTO>`+rest+`</vCard></iq>
		C: <iq type='set' id='{d}'><vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO>`+strings.Replace(rest, "<X-A", "<PHOTO><EXTVAL>second</EXTVAL></PHOTO><X-A", 1)+`</vCard></iq>
		S: <iq type='result' id='{d}'/>`)
	e.want(t, "updated ")
	if r, err := v.Stored(t.Context(), me); err != nil || !bytes.Equal(r.Card.Photo.Data, photo) || r.PhotoHash != r.Card.PhotoHash() || r.PhotoHash == "" {
		t.Errorf("%+v, %v", r, err)
	}
	peer.While(func() {
		if err := v.SetMyPhoto(t.Context(), nil, ""); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{e}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' id='{e}'><vCard xmlns='vcard-temp'><FN>a</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard></iq>
		C: <iq type='set' id='{f}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>
		S: <iq type='result' id='{f}'/>`)
	e.want(t, "updated a")
	// There is none yet.
	peer.While(func() {
		if err := v.SetMyPhoto(t.Context(), []byte("x"), "image/x"); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{g}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='error' id='{g}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
		C: <iq type='set' id='{h}'><vCard xmlns='vcard-temp'><PHOTO><TYPE>image/x</TYPE><BINVAL>eA==</BINVAL></PHOTO></vCard></iq>
		S: <iq type='result' id='{h}'/>`)
	e.want(t, "updated ")
	// It cannot be read: nothing is written.
	peer.While(func() {
		if err := v.SetMyPhoto(t.Context(), []byte("x"), ""); !errors.Is(err, stanza.InternalServerError) {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{i}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='error' id='{i}'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	e.want(t, "not updated error")
	no := errors.New("no")
	peer.While(func() {
		if err := v.EditMyVCard(t.Context(), func(*vcard.Card) error { return no }); err != no {
			t.Error(err)
		}
	}, `
		C: <iq type='get' id='{j}'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' id='{j}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>`)
	e.want(t, "not updated error")
}

// TestEditsInTurn: no change undoes another.
func TestEditsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _, peer, _ := pair(t, vcard.Config{})
		var wg sync.WaitGroup
		for _, edit := range []func(*vcard.Card){func(c *vcard.Card) { c.Title += "a" }, func(c *vcard.Card) { c.Title += "a" }} {
			wg.Go(func() {
				if err := v.EditMyVCard(t.Context(), func(c *vcard.Card) error { edit(c); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := v.SetMyPhoto(ctx, nil, ""); !errors.Is(err, context.DeadlineExceeded) { // waits for its turn
			t.Error(err)
		}
		peer.Play(`
			C: <iq type='get' id='{a}'><vCard xmlns='vcard-temp'/></iq>
			S: <iq type='result' id='{a}'><vCard xmlns='vcard-temp'/></iq>
			C: <iq type='set' id='{b}'><vCard xmlns='vcard-temp'><TITLE>a</TITLE></vCard></iq>
			S: <iq type='result' id='{b}'/>
			C: <iq type='get' id='{c}'><vCard xmlns='vcard-temp'/></iq>
			S: <iq type='result' id='{c}'><vCard xmlns='vcard-temp'><TITLE>a</TITLE></vCard></iq>
			C: <iq type='set' id='{d}'><vCard xmlns='vcard-temp'><TITLE>aa</TITLE></vCard></iq>
			S: <iq type='result' id='{d}'/>`)
		wg.Wait()
	})
}

// TestUpdateDuringFetch: what was asked for before the change does not replace it in the storage.
func TestUpdateDuringFetch(t *testing.T) {
	checkGoroutines(t)
	v, _, peer, e := pair(t, vcard.Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if c, err := v.FetchFresh(t.Context(), me); err != nil || c.FormattedName != "old" {
			t.Error(c, err)
		}
	})
	peer.Expect(`<iq type='get' id='{a}'><vCard xmlns='vcard-temp'/></iq>`)
	peer.While(func() {
		if err := v.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "new"}); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='set' id='{b}'><vCard xmlns='vcard-temp'><FN>new</FN></vCard></iq>
		S: <iq type='result' id='{b}'/>`)
	peer.Inject(`<iq type='result' id='{a}'><vCard xmlns='vcard-temp'><FN>old</FN></vCard></iq>`)
	wg.Wait()
	e.want(t, "updated new", "received juliet@example.test old")
	if got := stored(t, v); got != "new" {
		t.Errorf("%s is stored", got)
	}
}

// TestBrokenStorage: a storage that fails is told, and nothing else fails with it.
func TestBrokenStorage(t *testing.T) {
	checkGoroutines(t)
	v, s, peer, e := pair(t, vcard.Config{Storage: broken{}})
	peer.While(func() {
		if c, err := v.Fetch(t.Context(), romeo); err != nil || c.FormattedName != "a" {
			t.Error(c, err)
		}
	}, `
		C: <iq type='get' id='{id}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' from='romeo@example.test' id='{id}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>`)
	e.want(t, "storage load romeo@example.test", "storage save romeo@example.test", "received romeo@example.test a")
	peer.While(func() {
		if err := v.UpdateMyVCard(t.Context(), &vcard.Card{FormattedName: "a"}); err != nil {
			t.Error(err)
		}
	}, `
		C: <iq type='set' id='{b}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>
		S: <iq type='result' id='{b}'/>`)
	e.want(t, "storage save juliet@example.test", "updated a")
	_, err1 := v.Stored(t.Context(), romeo)
	_, _, err2 := v.PhotoHash(t.Context(), romeo)
	for i, err := range []error{err1, err2, v.Forget(t.Context(), romeo), v.ForgetAll(t.Context())} {
		if se := (*vcard.StorageError)(nil); !errors.As(err, &se) || !errors.Is(err, errBroken) || se.Account != s.MyJID().Bare() || !strings.Contains(err.Error(), se.Op) {
			t.Errorf("%d: %v", i, err)
		}
	}
	e.want(t, "storage load romeo@example.test", "storage hash romeo@example.test", "storage remove romeo@example.test", "storage clear ")
}
