package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

func TestWebSocketSession(t *testing.T) {
	testkit.Goroutines(t)
	got := make(chan string, 10)
	code := make(chan int, 1)
	w, m := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		got <- p.req.Header.Get("Sec-WebSocket-Protocol") + "|" + p.req.Header.Get("Sec-WebSocket-Extensions")
		for range 2 {
			_, s, _ := p.next()
			got <- s
			p.text(webOpen, webFeatures)
		}
		_, s, _ := p.next()
		got <- s
		p.text(webClose)
		_, c := p.rest()
		code <- c
	})
	if s, want := <-got, "xmpp|"; s != want {
		t.Errorf("offered %q, want %q", s, want)
	}
	if _, err := w.Next(); err != errWebSocketHeader {
		t.Errorf("Next before Header: %v", err)
	}
	for range 2 {
		head := w.AppendHeader(nil, xmlstream.Header{To: "example.test", From: "a'b@example.test", Lang: "en", Version: "1.0"})
		testkit.Must(t, w.Write(head, []int{len(head)}))
		want := "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='a&#39;b@example.test' to='example.test' xml:lang='en' version='1.0'/>"
		if s := <-got; s != want {
			t.Errorf("the server has received\n%s, want\n%s", s, want)
		}
		h, err := w.Header()
		testkit.Must(t, err)
		want = `<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" from="example.test" id="++TR84" version="1.0" xml:lang="en"/>`
		if s := webString(t, h); s != want {
			t.Errorf("header\n%s, want\n%s", s, want)
		}
		f, err := w.Next()
		testkit.Must(t, err)
		if f.Tag != "features" || f.NamespaceURI() != nsStreams || w.Size() != len(webFeatures) {
			t.Errorf("features %s, %d bytes", webString(t, f), w.Size())
		}
		w.Restart()
	}
	w.open = true // that was no restart
	foot := w.AppendFooter(nil)
	testkit.Must(t, w.Write(foot, []int{len(foot)}))
	if s := <-got; s != webClose {
		t.Errorf("the server has received %s", s)
	}
	for range 2 {
		if _, err := w.Next(); err != io.EOF {
			t.Errorf("after <close/>: %v, want io.EOF", err)
		}
	}
	if state, bound, ok := w.ConnectionState(); !ok || !bound || len(state.PeerCertificates) == 0 {
		t.Error("no state of the connection")
	}
	testkit.Must(t, w.Close())
	if c := <-code; c != 1000 {
		t.Errorf("closed with %d, want 1000", c)
	}
	if m.in.Load() == 0 || m.out.Load() == 0 {
		t.Error("the meter was told nothing")
	}
	if err := w.Write(foot, []int{len(foot)}); err == nil {
		t.Error("Write after Close: no error")
	}
}

// An element of a message looks like one of a stream of XML.
func TestWebSocketElements(t *testing.T) {
	testkit.Goroutines(t)
	const stream = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	tests := []struct{ message, inStream string }{
		{webFeatures, strings.Replace(webFeatures, " xmlns:stream='http://etherx.jabber.org/streams'", "", 1)},
		{"<message xmlns='jabber:client' to='a@b'><body>x</body></message>", "<message to='a@b'><body>x</body></message>"},
		{"<message to='a@b' xmlns='jabber:client'/>", "<message to='a@b'/>"},
		{"<iq id='1' xml:lang='en' xmlns='jabber:client'><query xmlns='q'>&lt;<![CDATA[<]]></query></iq>\n",
			"<iq id='1' xml:lang='en'><query xmlns='q'>&lt;<![CDATA[<]]></query></iq>"},
		{"<a xmlns='urn:xmpp:sm:3' h='0'/>", "<a xmlns='urn:xmpp:sm:3' h='0'/>"},
		{"<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
			"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
	}
	w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		p.text(webOpen)
		for _, tt := range tests {
			p.text(tt.message)
		}
		p.rest()
	})
	_, err := w.Header()
	testkit.Must(t, err)
	for _, tt := range tests {
		got, err := w.Next()
		testkit.Must(t, err)
		d := xmlstream.NewDecoder(strings.NewReader(stream+tt.inStream), xmlstream.Limits{})
		_, err = d.Header()
		testkit.Must(t, err)
		want, err := d.Next()
		testkit.Must(t, err)
		if g, w := webString(t, got), webString(t, want); g != w || got.Parent() != nil {
			t.Errorf("%s\ngives %s,\nin a stream %s", tt.message, g, w)
		}
	}
}

func TestWebSocketWrite(t *testing.T) {
	testkit.Goroutines(t)
	messages := make(chan []string, 1)
	w, m := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		got, _ := p.rest()
		messages <- got
	})
	var b []byte
	var ends []int
	var want []string
	add := func(s string) {
		b = append(b, s...)
		ends = append(ends, len(b))
		if strings.TrimSpace(s) != "" {
			want = append(want, s)
		}
	}
	for i := range 100 {
		e := etree.NewElement("message") // it declares nothing
		e.CreateElement("body").SetText(strings.Repeat("ü", i))
		one, err := w.AppendElement(nil, e)
		testkit.Must(t, err)
		if !bytes.HasPrefix(one, []byte("<message xmlns='jabber:client'>")) {
			t.Fatalf("%s does not stand alone", one)
		}
		add(string(one))
	}
	add(" ")
	add("<message xmlns='jabber:client'>" + strings.Repeat("y", 100<<10) + "</message>")
	testkit.Must(t, w.Write(b, ends))
	if n := m.writes.Load(); n > int64(len(b)/(8<<10)) {
		t.Errorf("%d bytes in %d writes", len(b), n)
	}
	foot := w.AppendFooter(nil)
	testkit.Must(t, w.Write(foot, []int{len(foot)}))
	testkit.Must(t, w.Close())
	if got := <-messages; !slices.Equal(got, append(want, webClose)) {
		t.Errorf("%d messages arrived, %d were sent", len(got), len(want))
	}
	if _, err := w.AppendElement(nil, etree.NewElement("no name")); err == nil {
		t.Error("an element that is not XML: no error")
	}
}

func TestWebSocketKeepAlive(t *testing.T) {
	testkit.Goroutines(t)
	got := make(chan string, 1)
	w, m := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		op, s, _ := p.next()
		got <- string(rune('0'+op&0x0F)) + s
		p.send(webFrame(frameFin|framePong, s))
		p.send(webFrame(frameFin|framePing, "hello"))
		op, s, _ = p.next()
		got <- string(rune('0'+op&0x0F)) + s
	})
	if b := w.KeepAlive(' '); b != nil {
		t.Errorf("to be written: %q", b)
	}
	if s := <-got; s != "91" {
		t.Errorf("the server has received %q, want a ping", s)
	}
	go w.Header() // pings are answered while somebody reads
	if s := <-got; s != ":hello" {
		t.Errorf("the server has received %q, want a pong", s)
	}
	if m.in.Load() == 0 {
		t.Error("the meter was not told of pings")
	}
	testkit.Must(t, w.Close())
	w.KeepAlive(' ')
}

// Close never hangs, whatever the peer does.
func TestSec_XML20_Close(t *testing.T) {
	foot := []byte(webClose)
	tests := map[string]struct {
		serve func(p *webPeer)
		use   func(w *webSocket)
	}{
		"at once": {func(p *webPeer) { p.rest() }, func(w *webSocket) {}},
		"while Next waits": {func(p *webPeer) { p.text(webOpen); p.rest() }, func(w *webSocket) {
			_, _ = w.Header()
			time.AfterFunc(20*time.Millisecond, func() { _ = w.Close() })
			if _, err := w.Next(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Next: %v", err)
			}
		}},
		"a peer that says nothing": {func(p *webPeer) { _, _ = io.Copy(io.Discard, p) }, func(w *webSocket) {
			_ = w.Write(foot, []int{len(foot)})
		}},
		"a peer that does not read": {func(p *webPeer) { p.text(webOpen); time.Sleep(time.Second) }, func(w *webSocket) {
			go func() {
				b := []byte("<m xmlns='x'>" + strings.Repeat("z", 32<<20) + "</m>")
				_ = w.Write(b, []int{len(b)})
			}()
			time.Sleep(50 * time.Millisecond)
			w.said.Store(true) // the worst case: a close frame has to wait, too
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			w, _ := dialWeb(t, xmlstream.Limits{}, tt.serve)
			tt.use(w)
			began := time.Now()
			testkit.Must(t, w.Close())
			testkit.Must(t, w.Close())
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("Close took %v", d)
			}
		})
	}
}

func TestWebSocketEnds(t *testing.T) {
	tests := map[string]struct {
		end  []byte
		text string // in the error
	}{
		"cut":        {nil, "unexpected EOF"},
		"1000":       {webFrame(frameFin|frameClose, "\x03\xe8"), "unexpected EOF"},
		"no code":    {webFrame(frameFin|frameClose, ""), "unexpected EOF"},
		"1001":       {webFrame(frameFin|frameClose, "\x03\xe9gone\n"), `code 1001, "gone\n"`},
		"1008":       {webFrame(frameFin|frameClose, "\x03\xf0"), `code 1008`},
		"half frame": {[]byte{frameFin | frameText, 10, '<'}, "unexpected EOF"},
		"half message": {append(webFrame(frameText, "<a xmlns='b'>"), webFrame(frameFin|frameClose, "\x03\xe8")...),
			"unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
				p.text(webOpen)
				p.send(tt.end)
			})
			_, err := w.Header()
			testkit.Must(t, err)
			for range 2 {
				_, err = w.Next()
				if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want io.ErrUnexpectedEOF with %s", err, tt.text)
				}
			}
		})
	}
}

func TestWebSocketSeeOther(t *testing.T) {
	const uri = "wss://other.test/ws"
	bye := strings.Replace(webClose, "/>", " see-other-uri='"+uri+"'/>", 1)
	for _, inHeader := range []bool{true, false} {
		testkit.Goroutines(t)
		w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
			if !inHeader {
				p.text(webOpen)
			}
			p.text(bye)
			p.rest()
		})
		_, err := w.Header()
		if !inHeader {
			testkit.Must(t, err)
			_, err = w.Next()
		}
		var other *SeeOtherURIError
		if !errors.As(err, &other) || other.URI != uri || !strings.Contains(err.Error(), uri) {
			t.Errorf("error %v", err)
		}
		testkit.Must(t, w.Close())
	}
}

// The wire does not depend on the context that it was dialled with, nor does a client's Timeout end it.
func TestWebSocketContext(t *testing.T) {
	testkit.Goroutines(t)
	again := make(chan struct{})
	srv := newWebServer(t, webUpgrade(func(p *webPeer) {
		<-again
		p.text(webOpen)
		p.rest()
	}))
	web := srv.web(new(countMeter))
	client, done := web.httpClient("example.test")
	defer done()
	client.Timeout = 5 * time.Second
	client.CheckRedirect = nil
	web.Client = client
	for _, viaClient := range []bool{false, true} {
		if !viaClient {
			web.Client = nil
		} else {
			web.Client = client
		}
		ctx, cancel := context.WithCancel(t.Context())
		w, err := DialWebSocket(ctx, web, webAddress)
		testkit.Must(t, err)
		cancel()
		if viaClient {
			close(again)
		} else {
			time.AfterFunc(30*time.Millisecond, func() { again <- struct{}{} })
		}
		_, err = w.Header()
		testkit.Must(t, err)
		if _, _, ok := w.(Secured).ConnectionState(); !ok {
			t.Error("no TLS state")
		}
		testkit.Must(t, w.Close())
	}
}
