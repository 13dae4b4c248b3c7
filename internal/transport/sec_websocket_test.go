package transport

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

const webMessage = "<message xmlns='jabber:client'><body>x</body></message>"

// After <open/> and one good message comes what the test names. It gives no element, and an error that stays.
func TestSec_XML20_WebSocketFraming(t *testing.T) {
	text := func(s string) []byte { return webFrame(frameFin|frameText, s) }
	masked := webFrame(frameFin|frameText, webMessage)
	masked[1] |= 0x80
	masked = append(masked[:2:2], append([]byte{0, 0, 0, 0}, masked[2:]...)...) // a key that changes nothing
	tests := map[string]struct {
		frames    []byte
		condition string // of an *xmlstream.Error; empty for another error
		text      string
	}{
		"two stanzas in a message":        {text(webMessage + webMessage), "not-well-formed", "after the root"},
		"a stanza over two messages":      {append(text(webMessage[:20]), text(webMessage[20:])...), "not-well-formed", "does not end"},
		"a stanza without its end":        {text("<message xmlns='jabber:client'>"), "not-well-formed", "does not end"},
		"binary":                          {webFrame(frameFin|frameBin, webMessage), "bad-format", "binary"},
		"binary, empty":                   {webFrame(frameFin|frameBin, ""), "bad-format", "binary"},
		"empty":                           {text(""), "bad-format", "empty"},
		"white space":                     {text(" \n"), "bad-format", "empty"},
		"white space first":               {text(" " + webMessage), "bad-format", "begin"},
		"byte order mark":                 {text("\xEF\xBB\xBF" + webMessage), "bad-format", "begin"},
		"text":                            {text("hello"), "bad-format", "begin"},
		"text after it":                   {text(webMessage + "x"), "not-well-formed", "after the root"},
		"XML declaration":                 {text("<?xml version='1.0'?>" + webMessage), "restricted-xml", ""},
		"comment":                         {text("<!-- -->" + webMessage), "restricted-xml", ""},
		"comment after it":                {text(webMessage + "<!-- -->"), "restricted-xml", ""},
		"DTD":                             {text("<!DOCTYPE a>" + webMessage), "restricted-xml", ""},
		"a header of a stream of XML":     {text("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"), "not-well-formed", ""},
		"the end of a stream of XML":      {text("</stream:stream>"), "not-well-formed", ""},
		"no namespace":                    {text("<message to='a@b'/>"), "invalid-namespace", "message"},
		"namespace taken away":            {text("<message xmlns=''/>"), "invalid-namespace", "message"},
		"a prefix from outside":           {text("<stream:features/>"), "not-well-formed", ""},
		"second open":                     {text(webOpen), "bad-format", "open"},
		"unknown framing":                 {text("<ping xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"), "bad-format", "ping"},
		"not UTF-8":                       {text("<message xmlns='jabber:client'>\xC0\xBC</message>"), "not-well-formed", ""},
		"too deep":                        {text(strings.Repeat("<a xmlns='b'>", 200)), "policy-violation", ""},
		"10 MiB":                          {text("<a xmlns='b'>" + strings.Repeat("x", 10<<20) + "</a>"), "policy-violation", "larger"},
		"10 MiB said, little sent":        {append([]byte{frameFin | frameText, 127, 0, 0, 0, 0, 0, 0xA0, 0, 0}, make([]byte, 70<<10)...), "policy-violation", "larger"},
		"10 MiB in fragments":             {webFragments(strings.Repeat("x", 10<<20), 1000), "policy-violation", "larger"},
		"10 MiB of white space after it":  {text(webMessage + strings.Repeat(" ", 10<<20)), "policy-violation", "larger"},
		"2⁶³ bytes":                       {[]byte{frameFin | frameText, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, '<'}, "", "length"},
		"empty fragments without end":     {append(webFrame(frameText, ""), strings.Repeat("\x00\x00", 1000)...), "", "empty fragments"},
		"masked":                          {masked, "", "masked"},
		"masked ping":                     {append([]byte{frameFin | framePing, 0x80}, 0, 0, 0, 0), "", "masked"},
		"reserved bit":                    {append([]byte{frameFin | frameText | 0x40}, text(webMessage)[1:]...), "", "rsv"},
		"unknown opcode":                  {webFrame(frameFin|0x3, "x"), "", "opcode"},
		"unknown control":                 {webFrame(frameFin|0xB, "x"), "", "opcode"},
		"fragmented ping":                 {webFrame(framePing, "x"), "", "fragmented control"},
		"long ping":                       {webFrame(frameFin|framePing, strings.Repeat("x", 126)), "", "control frame"},
		"continuation of nothing":         {webFrame(frameFin|frameMore, webMessage), "", "continuation"},
		"a message inside another":        {append(webFrame(frameText, "<a "), text(webMessage)...), "", "without finishing"},
		"close of one byte":               {webFrame(frameFin|frameClose, "\x03"), "", "close payload"},
		"close with a code nobody sends":  {webFrame(frameFin|frameClose, "\x03\xee"), "", "status code"},
		"close without <close/>":          {webFrame(frameFin|frameClose, "\x03\xe8"), "", "unexpected EOF"},
		"the end without a close of both": {nil, "", "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			w, m := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
				p.text(webOpen, webMessage)
				p.send(tt.frames)
				if tt.frames != nil {
					p.text(webMessage, webClose)
					p.rest()
				}
			})
			_, err := w.Header()
			testkit.Must(t, err)
			_, err = w.Next()
			testkit.Must(t, err)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 2 {
				e, err := w.Next()
				var xe *xmlstream.Error
				switch {
				case err == nil:
					t.Fatalf("got %s", webString(t, e))
				case errors.Is(err, io.EOF):
					t.Errorf("an orderly end")
				case errors.As(err, &xe) != (tt.condition != ""), xe != nil && xe.Condition != tt.condition, !strings.Contains(err.Error(), tt.text):
					t.Errorf("%v, want %s %s", err, tt.condition, tt.text)
				}
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; len(tt.frames) < 1<<20 && n > 1<<20 {
				t.Errorf("%d bytes allocated", n)
			}
			if n := m.in.Load(); n > 256<<10 {
				t.Errorf("%d bytes were read", n)
			}
			began := time.Now()
			foot := w.AppendFooter(nil)
			_ = w.Write(foot, []int{len(foot)})
			testkit.Must(t, w.Close())
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("the end took %v", d)
			}
		})
	}
}

// webFragments is a message in fragments of that size.
func webFragments(s string, size int) (b []byte) {
	op := byte(frameText)
	for ; len(s) > size; s = s[size:] {
		b = append(b, webFrame(op, s[:size])...)
		op = frameMore
	}
	return append(b, webFrame(op|frameFin, s)...)
}

// Fragments of one message are one message, with pings in between or not, wherever the network cuts.
func TestSec_XML20_Fragments(t *testing.T) {
	testkit.Goroutines(t)
	w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		p.send(webFragments(webOpen, 7))
		for _, size := range []int{1, 3, 20} {
			b := webFragments(webMessage, size)
			for i := range b {
				p.send(b[i : i+1])
			}
		}
		p.send(webFrame(frameText, webMessage[:9]), webFrame(frameFin|framePing, "x"), webFrame(frameMore, ""), webFrame(frameFin|frameMore, webMessage[9:]))
		p.text(webClose)
		p.rest()
	})
	_, err := w.Header()
	testkit.Must(t, err)
	for range 4 {
		e, err := w.Next()
		testkit.Must(t, err)
		if e.SelectElement("body").Text() != "x" || w.Size() != len(webMessage) {
			t.Errorf("got %s, %d bytes", webString(t, e), w.Size())
		}
	}
	if _, err := w.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// The server has to agree to the sub-protocol: what does not speak XMPP gets nothing that was meant for XMPP.
func TestSec_XML20_SubProtocol(t *testing.T) {
	for name, line := range map[string]string{
		"missing": "X: y", "empty": "Sec-WebSocket-Protocol: ", "another": "Sec-WebSocket-Protocol: chat", "a list": "Sec-WebSocket-Protocol: xmpp, chat",
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			got := make(chan int64, 1)
			srv := newWebServer(t, webUpgrade(func(p *webPeer) {
				n, _ := io.Copy(io.Discard, p)
				got <- n
			}, line))
			if _, err := DialWebSocket(t.Context(), srv.web(new(countMeter)), webAddress); !errors.Is(err, errWebSocketProtocol) {
				t.Errorf("error %v", err)
			}
			if n := <-got; n > 0 {
				t.Errorf("%d bytes were sent", n)
			}
		})
	}
}

// What may not stand in the place of <open/>.
func TestSec_XML20_Header(t *testing.T) {
	for name, message := range map[string]string{
		"a stanza":             webMessage,
		"features":             webFeatures,
		"open elsewhere":       "<open xmlns='urn:evil' from='example.test'/>",
		"open in capitals":     "<OPEN xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
		"open with content":    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'><a/></open>",
		"open with text":       "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'>x</open>",
		"a stream of XML":      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'/>",
		"open and what it has": webOpen + webFeatures,
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Goroutines(t)
			w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) { p.text(message); p.rest() })
			var xe *xmlstream.Error
			if h, err := w.Header(); !errors.As(err, &xe) {
				t.Errorf("header %v, error %v", h, err)
			}
		})
	}
}

// The limits are those in force when a message begins, and leave the connection fit to say why it ends.
func TestSec_XML20_Limit(t *testing.T) {
	testkit.Goroutines(t)
	said := make(chan []string, 1)
	code := make(chan int, 1)
	fits := "<a xmlns='b'>" + strings.Repeat("x", 1000-len("<a xmlns='b'></a>")) + "</a>"
	w, _ := dialWeb(t, xmlstream.Limits{StanzaBytes: 200}, func(p *webPeer) {
		p.text(webOpen, fits, fits+" ")
		m, c := p.rest()
		said <- m
		code <- c
	})
	_, err := w.Header()
	testkit.Must(t, err)
	w.SetLimits(xmlstream.Limits{StanzaBytes: 1000})
	_, err = w.Next()
	testkit.Must(t, err)
	var xe *xmlstream.Error
	if _, err = w.Next(); !errors.As(err, &xe) || xe.Condition != "policy-violation" || xe.Offset != int64(len(webOpen)+len(fits)) {
		t.Errorf("error %v", err)
	}
	b := []byte("<stream:error xmlns:stream='http://etherx.jabber.org/streams'/>")
	ends := []int{len(b)}
	b = w.AppendFooter(b)
	testkit.Must(t, w.Write(b, append(ends, len(b))))
	testkit.Must(t, w.Close())
	if m, c := <-said, <-code; len(m) != 2 || m[1] != webClose || c != 1009 {
		t.Errorf("the server has heard %q and %d", m, c)
	}
}

// A server that floods with pings is answered, and cannot make the wire hang.
func TestSec_XML20_PingFlood(t *testing.T) {
	testkit.Goroutines(t)
	w, _ := dialWeb(t, xmlstream.Limits{}, func(p *webPeer) {
		p.text(webOpen)
		ping := webFrame(frameFin|framePing, strings.Repeat("x", 125))
		for range 2000 {
			p.send(ping)
		}
		p.text(webClose)
		p.rest()
	})
	_, err := w.Header()
	testkit.Must(t, err)
	if _, err := w.Next(); err != io.EOF {
		t.Errorf("error %v", err)
	}
}

// FuzzWebSocketFrame gives the bytes of a server to the wire. What the wire makes of them must be
// what a simple reading of RFC 6455 and RFC 7395 makes of them.
func FuzzWebSocketFrame(f *testing.F) {
	text := func(s string) []byte { return webFrame(frameFin|frameText, s) }
	f.Add(append(append(text(webOpen), text(webFeatures)...), text(webClose)...))
	f.Add(append(text(webOpen), webFragments(webMessage, 9)...))
	f.Add(append(text(webOpen), webFrame(frameFin|frameBin, webMessage)...))
	f.Add(append(text(webOpen), text(webMessage+webMessage)...))
	f.Add(append(append(text(webOpen), webFrame(frameFin|framePing, "x")...), text(webMessage)...))
	f.Add(append(text(webOpen), webFrame(frameFin|frameClose, "\x03\xe9bye")...))
	f.Add([]byte{frameFin | frameText, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{frameFin | frameText, 0x81, 1, 2, 3, 4, '<'})
	f.Add(text(strings.Replace(webClose, "/>", " see-other-uri='wss://x/'/>", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		lim := xmlstream.Limits{StanzaBytes: 1 << 10}
		body := &webBody{in: data}
		w, err := DialWebSocket(t.Context(), Web{
			Client: &http.Client{Transport: body}, Meter: new(countMeter), Limits: lim,
		}, webAddress)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		want := webModel(data, lim.StanzaBytes)
		var got []string
		if h, err := w.Header(); err == nil {
			got = append(got, h.FullTag())
			for {
				e, err := w.Next()
				if err != nil {
					if _, again := w.Next(); again != err {
						t.Errorf("%v, then %v", err, again)
					}
					break
				}
				if e.NamespaceURI() == "" || w.Size() > lim.StanzaBytes {
					t.Errorf("%s of %d bytes", webString(t, e), w.Size())
				}
				got = append(got, e.FullTag())
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// webBody is an HTTP transport whose every answer is a WebSocket that sends these bytes.
type webBody struct{ in []byte }

func (b *webBody) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: b, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"xmpp"},
		"Sec-Websocket-Accept": {webAccept(r.Header.Get("Sec-WebSocket-Key"))},
	}}, nil
}

func (b *webBody) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.in[:min(len(b.in), 7)])
	b.in = b.in[n:]
	return n, nil
}

func (*webBody) Write(p []byte) (int, error) { return len(p), nil }
func (*webBody) Close() error                { return nil }

// webModel is what the wire must hand out: the names of the elements, the header's first.
func webModel(b []byte, limit int) (names []string) {
	message, open, empty := "", false, 0
	for len(b) >= 2 {
		op, n := b[0], int(b[1])
		b = b[2:]
		switch {
		case n == 126 && len(b) >= 2:
			n, b = int(b[0])<<8|int(b[1]), b[2:]
		case n == 126, n > 127:
			return names
		case n == 127:
			if len(b) < 8 || string(b[:5]) != "\x00\x00\x00\x00\x00" {
				return names
			}
			n, b = int(b[5])<<16|int(b[6])<<8|int(b[7]), b[8:]
		}
		if op&frameFin == 0 && op&0x08 == 0 && n == 0 {
			if empty++; empty > webSocketEmptyMost {
				return names
			}
		} else if op&frameFin != 0 && op&0x08 == 0 {
			empty = 0
		}
		if n > len(b) {
			return names
		}
		payload := string(b[:n])
		b = b[n:]
		switch op {
		case frameFin | framePing, frameFin | framePong:
			if n > 125 {
				return names
			}
			continue
		case frameText, frameFin | frameText:
			if open {
				return names
			}
			message = payload
		case frameMore, frameFin | frameMore:
			if !open {
				return names
			}
			message += payload
		default:
			return names
		}
		open = op&frameFin == 0
		if len(message) > limit {
			return names
		}
		if open {
			continue
		}
		if message == "" || message[0] != '<' || strings.HasPrefix(message, "<?") {
			return names
		}
		e, err := xmlstream.Parse([]byte(message), xmlstream.Limits{StanzaBytes: limit})
		if err != nil || e.NamespaceURI() == "" {
			return names
		}
		framing := e.NamespaceURI() == nsFraming
		switch {
		case names == nil && framing && e.Tag == "open" && len(e.Child) == 0:
			names = append(names, "stream:stream")
		case names == nil || framing:
			return names
		default:
			names = append(names, e.FullTag())
		}
	}
	return names
}
