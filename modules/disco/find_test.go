package disco_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// kinds are what the services of a test are, by the first letter of their name.
var kinds = map[byte]string{
	'r': "<identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/>",
	'i': "<identity category='conference' type='irc'/><feature var='http://jabber.org/protocol/muc'/>",
	'u': "<identity category='store' type='file'/><feature var='urn:xmpp:http:upload:0'/>",
	'p': "<identity category='proxy' type='bytestreams'/>",
	'n': "<identity category='pubsub' type='service'/>",
}

// services plays the server by hand: its items, and what each is. Those that begin with e fail, those that begin with s are silent.
type services struct {
	mu    sync.Mutex
	asked []string
	most  int // that were open at the same time
	open  int
	delay time.Duration
	items []string
}

func (v *services) answer(t *testing.T, srv *xmpptest.Server, e *etree.Element) {
	to, from, id := stanza.AttrOr(e, "to", ""), stanza.AttrOr(e, "from", ""), stanza.AttrOr(e, "id", "")
	v.mu.Lock()
	v.asked = append(v.asked, to)
	v.open++
	v.most = max(v.most, v.open)
	v.mu.Unlock()
	go func() {
		if v.delay > 0 {
			time.Sleep(v.delay)
		}
		v.mu.Lock()
		v.open--
		v.mu.Unlock()
		switch kind := kinds[to[0]]; {
		case to[0] == 's':
		case to[0] == 'e':
			srv.Deliver(fmt.Sprintf("<iq type='error' id='%s' from='%s' to='%s'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, to, from))
		default:
			srv.Deliver(fmt.Sprintf("<iq type='result' id='%s' from='%s' to='%s'><query xmlns='http://jabber.org/protocol/disco#info'>%s</query></iq>", id, to, from, kind))
		}
	}()
}

func (v *services) take() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := strings.Join(v.asked, " ")
	v.asked = nil
	return s
}

// find is a client of a server with services.
func find(t *testing.T, cfg disco.Config, v *services) (*disco.Disco, *xmpp.Stream) {
	t.Helper()
	srv := xmpptest.NewServer(t, xmpptest.WithTimeout(time.Hour))
	for _, name := range v.items {
		srv.HandleDomain(name, func(e *etree.Element) { v.answer(t, srv, e) })
	}
	d := disco.New(cfg)
	s := srv.Client(t, "juliet")
	must(t, d.Activate(s))
	return d, s
}

func names(list []disco.Service) string {
	var out []string
	for _, s := range list {
		out = append(out, s.JID.String())
	}
	return strings.Join(out, " ")
}

func TestFind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &services{items: []string{"e1", "i1", "n1", "p1", "r1", "r2", "s1", "u1"}}
		d, _ := find(t, disco.Config{}, v)
		start := time.Now()
		for _, tt := range []struct {
			name  string
			match disco.Match
			want  string
		}{
			{"rooms", disco.Rooms, "r1 r2"}, {"uploads", disco.Uploads, "u1"}, {"proxies", disco.Proxies, "p1"}, {"pubsub", disco.PubSub, "n1"},
			{"feature", disco.Feature("http://jabber.org/protocol/muc"), "i1 r1 r2"}, {"identity", disco.IsA("conference", ""), "i1 r1 r2"},
			{"the server", disco.IsA("server", "im"), "example.test"}, {"nothing", disco.IsA("x", ""), ""},
		} {
			got, err := d.Find(t.Context(), tt.match)
			if err != nil || names(got) != tt.want {
				t.Errorf("%s: %s, %v; want %s", tt.name, names(got), err, tt.want)
			}
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the silent one was waited for %v", took)
		}
		if asked := strings.Fields(v.take()); len(asked) != len(v.items) || v.most > 4 {
			t.Errorf("asked %q, %d at once", asked, v.most)
		}
		if info, known := d.Known(xmpp.MustParseJID("u1")); !known || !disco.Uploads(info) {
			t.Errorf("%v, %v", info, known)
		}
		if _, known := d.Known(xmpp.MustParseJID("e1")); known {
			t.Error("one that has failed is known")
		}
		time.Sleep(59 * time.Second)
		if _, err := d.Find(t.Context(), disco.Rooms); err != nil || v.take() != "" {
			t.Errorf("asked again too soon: %v", err)
		}
		time.Sleep(2 * time.Second)
		if got, err := d.Find(t.Context(), disco.Rooms); err != nil || names(got) != "r1 r2" {
			t.Errorf("%s, %v", names(got), err)
		}
		if got := v.take(); got != "e1 s1" && got != "s1 e1" {
			t.Errorf("asked again: %q", got)
		}
	})
}

// TestFindLimit: not more than a few are asked, whatever the server lists, and not more than some at once.
func TestFindLimit(t *testing.T) {
	for _, limit := range []int{0, 7} {
		bubble(t, func(t *testing.T) {
			v := &services{delay: time.Second}
			for n := range 50 {
				v.items = append(v.items, fmt.Sprintf("r%02d", n))
			}
			d, _ := find(t, disco.Config{FindLimit: limit}, v)
			want := limit
			if limit == 0 {
				want = 20
			}
			got, err := d.Find(t.Context(), disco.Rooms)
			if err != nil || len(got) != want || v.most != 4 || len(strings.Fields(v.take())) != want {
				t.Errorf("%d found, %d at once, %v", len(got), v.most, err)
			}
		})
	}
}

// TestFindWaits: one walk serves all who wait, and goes on when one of them does not; it ends with the connection.
func TestFindWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &services{items: []string{"r1", "r2"}, delay: 5 * time.Second}
		d, s := find(t, quiet, v)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := d.Find(ctx, disco.Rooms); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one: %v", err)
			}
		})
		wg.Go(func() {
			if got, err := d.Find(t.Context(), disco.Rooms); err != nil || names(got) != "r1 r2" {
				t.Errorf("the patient one: %s, %v", names(got), err)
			}
		})
		wg.Wait()
		if got := v.take(); len(strings.Fields(got)) != 2 {
			t.Errorf("asked %s", got)
		}
		s.Disconnect()
		must(t, s.Wait(t.Context()))
		must(t, s.Login(t.Context()))
		done := make(chan error)
		go func() {
			_, err := d.Find(t.Context(), disco.Rooms)
			done <- err
		}()
		synctest.Wait()
		s.Disconnect()
		if err := <-done; !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("without a connection: %v", err)
		}
		if _, err := d.Find(t.Context(), disco.Rooms); !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("without a connection: %v", err)
		}
		time.Sleep(10 * time.Second) // until the services have answered nobody
	})
}

// TestFindInCallback: it may be called from a callback whose queue is full meanwhile.
func TestFindInCallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &services{items: []string{"r1"}}
		d, s := find(t, quiet, v)
		done := make(chan string, 1)
		var once sync.Once
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(ctx context.Context, _ *xmpp.Stream, _ *stanza.Message) {
			once.Do(func() {
				got, err := d.Find(ctx, disco.Rooms)
				done <- fmt.Sprint(names(got), err)
			})
		})})
		for range 3 * xmpp.QueueStanzas {
			must(t, s.Send(t.Context(), stanza.NewMessage(stanza.Chat, s.MyJID(), "x")))
		}
		if got := <-done; got != "r1<nil>" {
			t.Error(got)
		}
	})
}
