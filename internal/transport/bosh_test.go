package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/testkit"
)

const msg = "<message xmlns='jabber:client' id='%d'/>"

// startBOSH opens a session at the manager.
func startBOSH(t testing.TB, m *manager, change ...func(*Web)) Wire {
	t.Helper()
	w := dialBOSH(t, m.RoundTrip, change...)
	put(t, w, header(w))
	if _, err := w.Header(); err != nil {
		t.Fatal(err)
	}
	wantNext(t, w, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")
	return w
}

func TestBOSHSession(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		meter := new(boshMeter)
		w := dialBOSH(t, m.RoundTrip, func(web *Web) { web.Meter = meter })
		if n := len(m.bodies); n != 0 {
			t.Errorf("%d requests before the first header", n)
		}
		put(t, w, header(w))
		h, err := w.Header()
		if err != nil {
			t.Fatal(err)
		}
		const want = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='a.test' id='id1' version='1.0'/>"
		if got := text(t, h); got != want {
			t.Errorf("header\n%s, want\n%s", got, want)
		}
		wantNext(t, w, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")
		put(t, w, "<auth xmlns='urn:x'>eA==</auth>")
		wantNext(t, w, "<auth xmlns='urn:x'>eA==</auth>")
		w.Restart()
		put(t, w, header(w))
		if h, err := w.Header(); err != nil || text(t, h) != want {
			t.Errorf("header after the restart: %v", err)
		}
		synctest.Wait()
		time.Sleep(5 * time.Minute) // nothing happens: a request is always there
		m.say(fmt.Sprintf(msg, 1))
		wantNext(t, w, fmt.Sprintf(msg, 1))
		if w.Size() != len(fmt.Sprintf(msg, 1)) {
			t.Errorf("size %d", w.Size())
		}
		put(t, w, "<presence xmlns='jabber:client' type='unavailable'/>", footer(w))
		wantNext(t, w, "<presence xmlns='jabber:client' type='unavailable'/>")
		for range 2 {
			if _, err := w.Next(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
		}
		if err := putErr(w, fmt.Sprintf(msg, 2)); err == nil {
			t.Error("a Write after the end is taken")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, want := range []string{
			" content='text/xml; charset=utf-8' to='a.test' from='me@a.test' xml:lang='en' wait='60' hold='1' ver='1.6' ack='1' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>",
			" sid='S'><auth xmlns='urn:x'>eA==</auth></body>",
			" sid='S' to='a.test' xml:lang='en' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'/>",
		} {
			if got := m.log[i]; got != fmt.Sprintf("<body xmlns='http://jabber.org/protocol/httpbind' rid='%d'", m.first+uint64(i))+want {
				t.Errorf("request %d\n%s, want\n%s", i, got, want)
			}
		}
		if last := m.log[len(m.log)-1]; !strings.Contains(last, " type='terminate'><presence") {
			t.Errorf("last request %s", last)
		}
		if m.most > 3 || m.open != 0 {
			t.Errorf("%d requests at a time, %d at the end", m.most, m.open)
		}
		if n := len(m.polls); n < 5 || n > 8 {
			t.Errorf("%d polls in five minutes", n)
		}
		meter.mu.Lock()
		defer meter.mu.Unlock()
		if meter.in < 1000 || meter.out < 250 || meter.willWait < 4 {
			t.Errorf("meter: %d in, %d out, %d writes", meter.in, meter.out, meter.willWait)
		}
	})
}

// TestBOSHPolling: a peer that holds nothing is asked no more often than it says.
func TestBOSHPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var polls []time.Time
		w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
			e, _ := bodyOf(t, r)
			if e.SelectAttr("sid") == nil {
				return response(200, sessionStart+"/>"), nil
			}
			polls = append(polls, time.Now())
			return response(200, emptyBody), nil
		})
		put(t, w, header(w))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(polls); n < 11 || n > 14 {
			t.Errorf("%d polls in a minute, want one in five seconds", n)
		}
	})
}

// TestBOSHBatches: what is written while requests are under way goes together, in bodies of bounded size, and a Write waits for room.
func TestBOSHBatches(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		w := startBOSH(t, m)
		go func() {
			for {
				if _, err := w.Next(); err != nil {
					return
				}
			}
		}()
		big := strings.Repeat("x", 30<<10)
		var items []string
		for i := range 40 {
			items = append(items, fmt.Sprintf("<message xmlns='jabber:client' id='%d'>%s</message>", i, big))
		}
		items = append(items, "<message xmlns='jabber:client' id='40'>"+strings.Repeat(big, 4)+"</message>")
		for _, it := range items[:10] {
			put(t, w, it)
		}
		put(t, w, items[10:]...)
		put(t, w, footer(w))
		time.Sleep(10 * time.Second)
		m.mu.Lock()
		defer m.mu.Unlock()
		if strings.Join(m.got, "") != strings.Join(items, "") {
			t.Errorf("%d elements, want %d in order", len(m.got), len(items))
		}
		for _, b := range m.log {
			if n := strings.Count(b, "<message"); n > 1 && len(b) > maxRequestItems+300 {
				t.Errorf("a request of %d bytes with %d elements", len(b), n)
			}
		}
		if m.most > 3 {
			t.Errorf("%d requests at a time", m.most)
		}
	})
}

// TestBOSHClose: whatever waits returns, at once, and nothing stays.
func TestBOSHClose(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		never := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		w := dialBOSH(t, never)
		put(t, w, header(w))
		errs := make(chan error, 2)
		go func() { _, err := w.Header(); errs <- err }()
		go func() {
			for i := 0; ; i++ {
				if err := putErr(w, "<message xmlns='jabber:client'>"+strings.Repeat("x", maxRequestItems)+"</message>"); err != nil {
					errs <- err
					return
				}
			}
		}()
		synctest.Wait()
		start := time.Now()
		_ = w.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want %v", err, net.ErrClosed)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
		if _, err := w.Next(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Next: %v", err)
		}
	})
}

// TestBOSHCrowded: who reads nothing gets no more than a few answers.
func TestBOSHCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count atomic.Int32
		w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
			e, _ := bodyOf(t, r)
			n := count.Add(1)
			if e.SelectAttr("sid") == nil {
				return response(200, sessionStart+"/>"), nil
			}
			return response(200, bodyStart+">"+fmt.Sprintf(msg, n)+"</body>"), nil
		})
		put(t, w, header(w))
		time.Sleep(time.Minute)
		synctest.Wait()
		was := count.Load()
		if was > maxArrived+2 {
			t.Errorf("%d requests while nobody reads", was)
		}
		for range 10 {
			if _, err := w.Next(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := count.Load(); n < was+9 {
			t.Errorf("%d requests after some were read, %d before", n, was)
		}
	})
}

// TestBOSHNamespaces: XEP-0206 section 2.
func TestBOSHNamespaces(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{bodyStart + "><message><body>x</body></message></body>", "<message xmlns='jabber:client'><body>x</body></message>"},
		{"<?xml version='1.0'?>\n<body xmlns='http://jabber.org/protocol/httpbind'> <message xmlns='jabber:client'/> \n</body >\n", "<message xmlns='jabber:client'/>"},
		{"<b:body xmlns:b='http://jabber.org/protocol/httpbind'><iq/></b:body>", "<iq xmlns='jabber:client'/>"},
		{bodyStart + "><stream:features><b xmlns='urn:b'/></stream:features></body>", "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><b xmlns='urn:b'/></stream:features>"},
		{"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:q='urn:&apos;q' a='>'><iq q:a='1'/></body>", "<iq xmlns='jabber:client' xmlns:q='urn:&apos;q' q:a='1'/>"},
	} {
		t.Run("", func(t *testing.T) {
			var n atomic.Int32
			w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
				switch n.Add(1) {
				case 1:
					return response(200, sessionStart+"/>"), nil
				case 2:
					return response(200, c.body), nil
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			put(t, w, header(w))
			wantNext(t, w, c.want)
		})
	}
}

func TestBOSHAppend(t *testing.T) {
	w := dialBOSH(t, nil)
	e := etree.NewElement("stream:error")
	e.CreateElement("conflict").CreateAttr("xmlns", "urn:ietf:params:xml:ns:xmpp-streams")
	for _, c := range []struct {
		e    *etree.Element
		want string
	}{
		{etree.NewElement("presence"), "<presence xmlns='jabber:client'/>"},
		{e, "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
	} {
		if got, err := w.AppendElement([]byte("x"), c.e); string(got) != "x"+c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
	if got, err := w.AppendElement([]byte("x"), etree.NewElement("a b")); string(got) != "x" || err == nil {
		t.Errorf("got %s, %v", got, err)
	}
	if w.KeepAlive(' ') != nil {
		t.Error("something is written to keep the session alive")
	}
	if err := putErr(w, "<presence xmlns='jabber:client'/>"); err == nil {
		t.Error("an element before the header is taken")
	}
}

// TestBOSHKeys holds the vector of XEP-0124 section 15, and that no request of a session without TLS lacks its key.
func TestBOSHKeys(t *testing.T) {
	ks := keySequence("6f825e81f4532b2c5fa2d12457d8a1f22e8f838e", 2)
	if ks[0] != "bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d" || ks[1] != "ca393b51b682f61f98e7877d61146407f3d0a770" {
		t.Errorf("got %q", ks)
	}
	k := newKeys()
	_, prev := k.next(true)
	for i := range 3 * keyCount {
		key, fresh := k.next(false)
		if keySequence(key, 1)[0] != prev {
			t.Fatalf("key %d does not fit the one before", i)
		}
		if prev = key; fresh != "" {
			prev = fresh
		}
	}
}

func TestBOSHAddress(t *testing.T) {
	for _, u := range []string{"http://a.test/b", "ws://a.test/", "https://", "https://me:pw@a.test/", "%", ""} {
		if _, err := DialBOSH(context.Background(), Web{}, u); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", u, err)
		}
	}
}
