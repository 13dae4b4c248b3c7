package vcard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var (
	me    = xmpp.JID{}
	romeo = xmpp.MustParseJID("romeo@example.test")
)

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg vcard.Config) (*vcard.VCard, *xmpp.Stream, *xmpptest.Peer, *events) {
	t.Helper()
	v, e := vcard.New(cfg), &events{}
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		v.AddDelegate(vcard.Delegate{Fetch: e, Update: e, VCard4: e, Storage: e}, nil)
		if err := v.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return v, s, peer, e
}

// events are what a delegate heard.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// want waits for the events.
func (e *events) want(t *testing.T, want ...string) {
	t.Helper()
	for range 500 {
		e.mu.Lock()
		n := len(e.list)
		e.mu.Unlock()
		if n >= len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if got := strings.Join(e.list, "; "); got != strings.Join(want, "; ") {
		t.Errorf("events: %s, want %s", got, strings.Join(want, "; "))
	}
	e.list = nil
}

func kind(err error) string {
	switch {
	case errors.Is(err, vcard.ErrNoVCard):
		return "none"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "error"
}

func (e *events) VCardDidReceive(_ context.Context, _ *vcard.VCard, of xmpp.JID, c *vcard.Card) {
	e.note("received %s %s", of, c.FormattedName)
}
func (e *events) VCardDidFailToFetch(_ context.Context, _ *vcard.VCard, of xmpp.JID, err error) {
	e.note("failed %s %s", of, kind(err))
}
func (e *events) VCardDidUpdateMyVCard(_ context.Context, _ *vcard.VCard, c *vcard.Card) {
	e.note("updated %s", c.FormattedName)
}
func (e *events) VCardDidFailToUpdateMyVCard(_ context.Context, _ *vcard.VCard, err error) {
	e.note("not updated %s", kind(err))
}
func (e *events) VCardDidReceiveVCard4(_ context.Context, _ *vcard.VCard, of xmpp.JID, c *vcard.Card4) {
	if c == nil {
		e.note("none of %s", of)
		return
	}
	e.note("version 4 of %s %s", of, c.FormattedName())
}
func (e *events) VCardDidFailToStore(_ context.Context, _ *vcard.VCard, err *vcard.StorageError) {
	e.note("storage %s %s", err.Op, err.Of)
}

func TestModule(t *testing.T) {
	v := vcard.New(vcard.Config{})
	var _ xmpp.Module = v
	var _ xmpp.FeatureProvider = v
	xmpptest.CheckDelegate(t, v)
	xmpptest.CheckDelegate(t, new(events), (*vcard.FetchDelegate)(nil), (*vcard.UpdateDelegate)(nil), (*vcard.VCard4Delegate)(nil), (*vcard.StorageDelegate)(nil))
	if f := v.Features(); v.Name() != "vcard" || len(f) != 2 || f[0] != "vcard-temp" || f[1] != "urn:ietf:params:xml:ns:vcard-4.0" {
		t.Error(v.Name(), f)
	}
	for _, d := range []vcard.Delegate{{}, {Fetch: (*events)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", d)
				}
			}()
			v.AddDelegate(d, nil)
		}()
	}
	ctx := t.Context()
	_, err1 := v.Fetch(ctx, romeo)
	_, err2 := v.FetchVCard4(ctx, romeo)
	_, err3 := v.FetchVCard4OverIQ(ctx, romeo)
	_, _, err4 := v.PhotoHash(ctx, romeo)
	for i, err := range []error{err1, err2, err3, err4, v.Forget(ctx, romeo), v.ForgetAll(ctx), v.UpdateMyVCard(ctx, &vcard.Card{}), v.PublishVCard4(ctx, &vcard.Card4{}, nil),
		v.PublishVCard4OverIQ(ctx, &vcard.Card4{}), v.RemoveContactCard(ctx, romeo)} {
		if !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("%d, not active: %v", i, err)
		}
	}
}

// TestFetch is XEP-0054 section 3.3, and what answers there are.
func TestFetch(t *testing.T) {
	tests := []struct {
		name   string
		of     string
		to     string // as it must be sent
		from   string
		answer string
		want   string // the name in the card
		err    error
		event  string
	}{
		{"a contact", "romeo@example.test", "to='romeo@example.test'", "romeo@example.test",
			`type='result'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>`, "Romeo", nil, "received romeo@example.test Romeo"},
		{"an occupant", "room@muc.example.test/Romeo", "to='room@muc.example.test/Romeo'", "room@muc.example.test/Romeo",
			`type='result'><vCard xmlns='vcard-temp'><FN>R</FN></vCard>`, "R", nil, "received room@muc.example.test/Romeo R"},
		{"a server", "example.test", "to='example.test'", "example.test",
			`type='result'><vCard xmlns='vcard-temp'><FN>S</FN></vCard>`, "S", nil, "received example.test S"},
		{"the own", "", "", "", `type='result'><vCard xmlns='vcard-temp'><FN>J</FN></vCard>`, "J", nil, "received juliet@example.test J"},
		{"empty", "a@example.test", "to='a@example.test'", "a@example.test", `type='result'><vCard xmlns='vcard-temp'/>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"as good as empty", "a@example.test", "to='a@example.test'", "a@example.test",
			`type='result'><vCard xmlns='vcard-temp'><FN/><N><FAMILY/></N></vCard>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"missing", "a@example.test", "to='a@example.test'", "a@example.test", `type='result'>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"of another namespace", "a@example.test", "to='a@example.test'", "a@example.test", `type='result'><vCard xmlns='x'><FN>a</FN></vCard>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"item-not-found", "a@example.test", "to='a@example.test'", "a@example.test",
			`type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"the condition stays", "a@example.test", "to='a@example.test'", "a@example.test",
			`type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, "", stanza.ItemNotFound, "failed a@example.test none"},
		{"service-unavailable", "a@example.test", "to='a@example.test'", "a@example.test",
			`type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, "", vcard.ErrNoVCard, "failed a@example.test none"},
		{"forbidden", "a@example.test", "to='a@example.test'", "a@example.test",
			`type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, "", stanza.Forbidden, "failed a@example.test error"},
		{"the own is not there", "juliet@example.test/elsewhere", "", "juliet@example.test",
			`type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, "", vcard.ErrNoVCard, "failed juliet@example.test none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			v, _, peer, e := pair(t, vcard.Config{})
			of := me
			if tt.of != "" {
				of = xmpp.MustParseJID(tt.of)
			}
			from := ""
			if tt.from != "" {
				from = "from='" + tt.from + "'"
			}
			peer.While(func() {
				c, err := v.Fetch(t.Context(), of)
				if !errors.Is(err, tt.err) || (err == nil) != (c != nil) || c != nil && c.FormattedName != tt.want {
					t.Errorf("%+v, %v", c, err)
				}
				if tt.err == stanza.Forbidden && errors.Is(err, vcard.ErrNoVCard) {
					t.Error("that does not mean that there is none")
				}
			}, `
				C: <iq type='get' id='{id}' `+tt.to+`><vCard xmlns='vcard-temp'/></iq>
				S: <iq `+from+` id='{id}' `+tt.answer+`</iq>`)
			e.want(t, tt.event)
		})
	}
}

// TestStored: what is stored is not asked for again until it is old, and can be read without a connection.
func TestStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithTimeout(1000*time.Hour))
		peer := srv.Peer("juliet")
		cfg := srv.Config("juliet")
		cfg.NoInitialPresence = true
		s, err := xmpp.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Disconnect)
		v := vcard.New(vcard.Config{})
		if err := errors.Join(v.Activate(s), s.Login(t.Context())); err != nil {
			t.Fatal(err)
		}
		n := 0
		fetch := func(f func(context.Context, xmpp.JID) (*vcard.Card, error), answer, want string) {
			t.Helper()
			call := func() {
				c, err := f(t.Context(), romeo)
				if want == "" && !errors.Is(err, vcard.ErrNoVCard) || want != "" && (err != nil || c.FormattedName != want) {
					t.Errorf("%+v, %v, want %s", c, err, want)
				}
			}
			before := s.Stats().StanzasSent
			if answer == "" {
				call()
				if n := s.Stats().StanzasSent - before; n != 0 {
					t.Errorf("%d stanzas were sent", n)
				}
				return
			}
			n++
			id := fmt.Sprintf("{id%d}", n)
			peer.While(call, `
				C: <iq type='get' id='`+id+`' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
				S: <iq type='result' from='romeo@example.test' id='`+id+`'>`+answer+`</iq>`)
		}
		card := func(n string) string {
			return `<vCard xmlns='vcard-temp'><FN>` + n + `</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard>`
		}
		if r, err := v.Stored(t.Context(), romeo); r != nil || err != nil {
			t.Error(r, err)
		}
		if _, known, err := v.PhotoHash(t.Context(), romeo); known || err != nil {
			t.Error(known, err)
		}
		fetch(v.Fetch, card("1"), "1")
		fetch(v.Fetch, "", "1")
		time.Sleep(23 * time.Hour)
		fetch(v.Fetch, "", "1")
		time.Sleep(2 * time.Hour)
		fetch(v.Fetch, card("2"), "2")
		fetch(v.FetchFresh, card("3"), "3")
		fetch(v.Fetch, "", "3")
		if r, err := v.Stored(t.Context(), romeo); err != nil || r.Card.FormattedName != "3" || r.PhotoHash != "a9993e364706816aba3e25717850c26c9cd0d89d" || time.Since(r.Fetched) > time.Second {
			t.Errorf("%+v, %v", r, err)
		}
		if h, known, err := v.PhotoHash(t.Context(), romeo); h != "a9993e364706816aba3e25717850c26c9cd0d89d" || !known || err != nil {
			t.Error(h, known, err)
		}
		if err := v.Forget(t.Context(), romeo); err != nil {
			t.Error(err)
		}
		fetch(v.Fetch, `<vCard xmlns='vcard-temp'/>`, "")
		fetch(v.Fetch, "", "") // it is known that there is none
		time.Sleep(11 * time.Minute)
		fetch(v.Fetch, card("4"), "4")
		s.Disconnect()
		synctest.Wait()
		fetch(v.Fetch, "", "4")
		if _, err := v.FetchFresh(t.Context(), romeo); err == nil || errors.Is(err, vcard.ErrNoVCard) {
			t.Errorf("without a connection: %v", err)
		}
		fetch(v.Fetch, "", "4")
		if err := v.ForgetAll(t.Context()); err != nil {
			t.Error(err)
		}
		if r, err := v.Stored(t.Context(), romeo); r != nil || err != nil {
			t.Error(r, err)
		}
	})
}

// TestShared: calls for one address share one question, which lives as long as one of them waits.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s, peer, e := pair(t, vcard.Config{})
		cards := make(chan *vcard.Card, 10)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				f, c := v.Fetch, t.Context()
				if i%2 == 0 {
					f = v.FetchFresh
				}
				if i < 3 {
					c = ctx
				}
				card, err := f(c, romeo)
				if i < 3 && !errors.Is(err, context.Canceled) || i >= 3 && err != nil {
					t.Error(err)
				}
				cards <- card
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		peer.Play(`
			C: <iq type='get' id='{id}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
			S: <iq type='result' from='romeo@example.test' id='{id}'><vCard xmlns='vcard-temp'><FN>a</FN><TEL><NUMBER>1</NUMBER></TEL></vCard></iq>`)
		wg.Wait()
		close(cards)
		n := 0
		for c := range cards {
			if c == nil {
				continue
			}
			if n++; c.Phones[0].Number != "1" {
				t.Error("two callers have one card")
			}
			c.Phones[0].Number = "changed"
		}
		if n != 7 || s.Stats().StanzasSent != 1 {
			t.Errorf("%d cards, %d stanzas", n, s.Stats().StanzasSent)
		}
		e.want(t, "received romeo@example.test a")

		// The last one gives up: the question is over, and the next asks again.
		ctx, cancel = context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := v.FetchFresh(ctx, romeo); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		peer.Expect(`<iq type='get' id='{first}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>`)
		cancel()
		wg.Wait()
		e.want(t, "failed romeo@example.test canceled")
		peer.While(func() {
			if c, err := v.FetchFresh(t.Context(), romeo); err != nil || c.FormattedName != "b" {
				t.Errorf("%+v, %v", c, err)
			}
		}, `
			C: <iq type='get' id='{second}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
			S: <iq type='result' from='romeo@example.test' id='{first}'><vCard xmlns='vcard-temp'><FN>late</FN></vCard></iq>
			S: <iq type='result' from='romeo@example.test' id='{second}'><vCard xmlns='vcard-temp'><FN>b</FN></vCard></iq>`)
		e.want(t, "received romeo@example.test b")
	})
}

// TestEnds: a question ends with the connection, and with the activation.
func TestEnds(t *testing.T) {
	checkGoroutines(t)
	for name, end := range map[string]func(*vcard.VCard, *xmpp.Stream){
		"connection": func(_ *vcard.VCard, s *xmpp.Stream) { s.Disconnect() },
		"activation": func(v *vcard.VCard, _ *xmpp.Stream) { v.Deactivate() },
	} {
		v, s, peer, _ := pair(t, vcard.Config{})
		failed := make(chan error, 1)
		go func() {
			_, err := v.Fetch(t.Context(), romeo)
			failed <- err
		}()
		peer.Expect(`<iq type='get' id='{id}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>`)
		end(v, s)
		if err := <-failed; err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	v, s, peer, _ := pair(t, vcard.Config{})
	v.Deactivate()
	if err := v.Activate(s); err != nil {
		t.Fatal(err)
	}
	if err := v.Activate(s); !errors.Is(err, xmpp.ErrModuleActive) {
		t.Error(err)
	}
	peer.While(func() {
		if c, err := v.Fetch(t.Context(), romeo); err != nil || c.FormattedName != "a" {
			t.Errorf("active again: %+v, %v", c, err)
		}
	}, `
		C: <iq type='get' id='{id}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
		S: <iq type='result' from='romeo@example.test' id='{id}'><vCard xmlns='vcard-temp'><FN>a</FN></vCard></iq>`)
}

// TestInline: nothing waits on the goroutine that reads.
func TestInline(t *testing.T) {
	checkGoroutines(t)
	v := vcard.New(vcard.Config{Storage: broken{}})
	errs := make(chan error, 4)
	_, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := v.Activate(s); err != nil {
			t.Fatal(err)
		}
		s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			_, err := v.Fetch(ctx, romeo)
			errs <- err
			_, err = v.FetchFresh(ctx, romeo)
			errs <- err
			_, err = v.Stored(ctx, romeo)
			errs <- err
			errs <- v.UpdateMyVCard(ctx, &vcard.Card{})
			return m
		}})
	})
	peer.Inject("<message from='a@example.test'/>")
	for i := range 4 {
		if err := <-errs; !errors.Is(err, xmpp.ErrInInterceptor) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
