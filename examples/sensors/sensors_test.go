package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/examples/internal/account"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// sum is what the last line of the program says.
type sum struct{ all, past, live, bad, published int }

// plotted runs the program to its end, and checks what it has drawn in the terminal.
func plotted(t *testing.T, o options) (s sum) {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := run(ctx, o, &out); err != nil {
		t.Fatal(err, "\n", &out)
	}
	last := out.String()[strings.LastIndex(strings.TrimSpace(out.String()), "\n")+1:]
	if _, err := fmt.Sscanf(last, "%d readings: %d of the past, %d as they were published; %d that were none. %d published here.", &s.all, &s.past, &s.live, &s.bad, &s.published); err != nil {
		t.Fatal(err, "\n", &out)
	}
	for n := range o.sensors {
		if !regexp.MustCompile(places[n] + `  -?\d+\.\d\d °C  .*(\n  [ ▁▂▃▄▅▆▇█]*){3}\n`).MatchString(out.String()) {
			t.Errorf("no plot of the %s:\n%s", places[n], &out)
		}
	}
	t.Logf("%+v\n%s", s, &out)
	return s
}

// TestRun: every reading that was published before is fetched, page by page, and every one that is published then is heard, once.
func TestRun(t *testing.T) {
	testkit.Goroutines(t)
	s := plotted(t, options{node: ns, sensors: 3, plot: true, every: 40 * time.Millisecond, duration: 1500 * time.Millisecond, terminal: true})
	if s.past < 120 || s.live < 30 || s.published < 30 || s.bad != 0 || s.all != 120+s.published {
		t.Errorf("got %+v; want 120 of the past, and all that were published", s)
	}
	if s := plotted(t, options{node: ns, sensors: 0, plot: true, every: time.Second, duration: 300 * time.Millisecond}); s != (sum{}) {
		t.Errorf("nobody measures: %+v", s)
	}
}

// TestPage: the plot in a browser.
func TestPage(t *testing.T) {
	testkit.Goroutines(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error)
	go func() {
		err := run(ctx, options{node: ns, sensors: 2, plot: true, every: 20 * time.Millisecond, listen: ":0"}, w)
		w.Close()
		done <- err
	}()
	var url string
	lines := bufio.NewScanner(r)
	for url == "" && lines.Scan() {
		_, url, _ = strings.Cut(lines.Text(), "The plot is at ")
	}
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("the page is at %q", url)
	}
	go io.Copy(io.Discard, r)
	defer http.DefaultClient.CloseIdleConnections()
	get := func(path, kind string) string {
		resp, err := http.Get(url + path)
		testkit.Must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) {
			t.Fatal(path, resp.Status, resp.Header, err)
		}
		return string(b)
	}
	if p := get("", "text/html"); !strings.Contains(p, "plot.svg") {
		t.Error(p)
	}
	seen := map[string]bool{}
	for end := time.Now().Add(20 * time.Second); len(seen) < 3; time.Sleep(50 * time.Millisecond) { // it changes
		svg := get("plot.svg?1", "image/svg+xml")
		if n := polylines(t, svg); n == 2 {
			seen[svg] = true
		}
		if time.Now().After(end) {
			t.Fatal("the plot does not change, or has not two curves:", svg)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// polylines counts the curves of a picture that must be well-formed.
func polylines(t *testing.T, svg string) (n int) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "polyline" {
			n++
		}
	}
}

// TestReading: what is written is read, and what others may write spoils nothing.
func TestReading(t *testing.T) {
	r := Reading{"<kitchen>", time.UnixMilli(1e12).UTC(), -3.25}
	e, err := encode(r)
	testkit.Must(t, err)
	if got, err := decode(e); got != r || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, r)
	}
	var b board
	add := func(r Reading) {
		e, err := encode(r)
		testkit.Must(t, err)
		got, err := decode(e)
		b.add(false, pubsub.Value[Reading]{Value: got, Err: err})
	}
	for range 2 {
		add(r) // the second time it is known
	}
	for _, bad := range []Reading{{"", r.At, 1}, {"a\x1b[2J", r.At, 1}, {strings.Repeat("a", 41), r.At, 1}, {"a", time.Time{}, 1}, {"a", r.At, math.NaN()}, {"a", r.At, math.Inf(1)}} {
		f, err := encode(bad)
		if err != nil {
			continue // it cannot even be written
		}
		if got, err := decode(f); err == nil {
			t.Errorf("%+v was read as %+v", bad, got)
		}
	}
	for _, e := range []*etree.Element{nil, stanza.New("x", "jabber:x:data").Element(), stanza.New("mood", "urn:example").Element()} {
		if _, err := decode(e); err == nil {
			t.Errorf("%v was read", e)
		}
	}
	if past, live, bad := b.counts(); past != 0 || live != 1 || bad != 0 {
		t.Error(past, live, bad)
	}
	for n := range 2 * maxReadings {
		add(Reading{"kitchen", r.At.Add(-time.Duration(n) * time.Second), 1})
		add(Reading{fmt.Sprint("s", n), r.At, 1})
	}
	series := b.sorted()
	if len(series) != maxSensors || polylines(t, string(b.svg())) != maxSensors {
		t.Error(len(series), "sensors")
	}
	for _, list := range series {
		if len(list) > maxReadings {
			t.Error(len(list), "readings")
		}
	}
}

// TestIntegration: nodes of an account on real servers, and of their services where ordinary users may make nodes.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccount(t)
		t.Setenv("XMPP_PASSWORD", password)
		services := []xmpp.JID{{}}
		if srv.Kind.Has(integration.PubSubCreate) {
			services = append(services, xmpp.MustParseJID("pubsub."+integration.Full))
		}
		for n, service := range services {
			o := options{
				account: account.Flags{JID: address, Host: srv.Addr(integration.STARTTLS), CA: srv.CACertFile()},
				service: service, node: fmt.Sprint(ns, ":", address, n), sensors: 2, plot: true, every: 50 * time.Millisecond, duration: 3 * time.Second,
			}
			first := plotted(t, o)
			o.duration = 1500 * time.Millisecond
			second := plotted(t, o)
			if first.live == 0 || first.all != first.published || first.bad+second.bad != 0 || second.live < second.published || second.all != first.published+second.published {
				t.Errorf("at %q: %+v, then %+v", service, first, second)
			}
		}
	})
}

// TestContact: one plots what a contact publishes, on real servers.
func TestContact(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccount(t)
		user, _, _ := strings.Cut(address, "@")
		srv.AddAccount(t, user+"friend", integration.Full, password)
		friend := user + "friend@" + integration.Full
		t.Setenv("XMPP_PASSWORD", password)
		befriend(t, srv, password, address, friend)
		o := options{
			account: account.Flags{JID: address, Host: srv.Addr(integration.STARTTLS), CA: srv.CACertFile()},
			node:    ns, sensors: 2, every: 100 * time.Millisecond, duration: 4 * time.Second,
		}
		watch := o
		watch.account.JID, watch.service, watch.plot, watch.sensors, watch.duration = friend, xmpp.MustParseJID(address), true, 0, 3*time.Second
		published := make(chan error)
		go func() { published <- run(t.Context(), o, io.Discard) }()
		s := plotted(t, watch)
		if err := <-published; err != nil || s.live < 2 || s.bad != 0 || s.published != 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// befriend makes two accounts see each other's presence.
func befriend(t *testing.T, srv *integration.Server, password, a, b string) {
	t.Helper()
	login := func(address string) *roster.Roster {
		r := roster.New(roster.Config{AutoAccept: func(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) bool { return true }})
		s := srv.Login(t, srv.Config(address, password), func(s *xmpp.Stream) { testkit.Must(t, r.Activate(s)) })
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		testkit.Must(t, r.Wait(t.Context()))
		return r
	}
	x, y := login(a), login(b)
	testkit.Must(t, x.Add(t.Context(), xmpp.MustParseJID(b), ""))
	testkit.Must(t, y.Add(t.Context(), xmpp.MustParseJID(a), ""))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, _ := x.Contact(xmpp.MustParseJID(b))
		d, _ := y.Contact(xmpp.MustParseJID(a))
		if c.Subscription() == roster.SubscriptionBoth && d.Subscription() == roster.SubscriptionBoth {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("they do not see each other: %s, %s", c.Subscription(), d.Subscription())
		}
	}
	testkit.Must(t, x.Stream().Close(t.Context()))
	testkit.Must(t, y.Stream().Close(t.Context()))
}
