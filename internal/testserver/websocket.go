package testserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/coder/websocket"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// serveWebSocket is RFC 7395.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.opts.Web.NoWebSocket:
		http.NotFound(w, r)
		return
	case !offersXMPP(r.Header):
		http.Error(w, "the sub-protocol is xmpp", http.StatusBadRequest) // §3.1
		return
	}
	l, pipe, err := s.serveWeb(r, false)
	if err != nil {
		http.Error(w, "refused", http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"xmpp"}, InsecureSkipVerify: true,
		OnPingReceived: func(context.Context, []byte) bool {
			l.out.gate() // a session that is frozen is silent altogether
			return true
		},
	})
	if err != nil {
		pipe.Close()
		return
	}
	ws.SetReadLimit(int64(s.webLimits().StanzaBytes))
	c := &webSocket{link: l, pipe: pipe, ws: ws, request: r, closed: make(chan struct{})}
	s.wg.Go(c.write)
	c.read(r.Context(), s.webLimits())
}

func offersXMPP(h http.Header) bool {
	for _, v := range h.Values("Sec-WebSocket-Protocol") {
		if slices.ContainsFunc(strings.Split(v, ","), func(p string) bool { return strings.TrimSpace(p) == "xmpp" }) {
			return true
		}
	}
	return false
}

// webSocket carries one session.
type webSocket struct {
	link    *link
	pipe    *Conn
	ws      *websocket.Conn
	request *http.Request
	closed  chan struct{} // closed when the client has closed its stream
}

// read gives the session what the client says.
func (c *webSocket) read(ctx context.Context, limits xmlstream.Limits) {
	defer c.pipe.Close()
	for {
		kind, b, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		xml, end, err := unframe(kind, b, limits)
		if err != nil {
			c.link.frameErr.Store(&err)
			xml = []byte("<<") // so that whoever reads the session wakes up
		}
		c.pipe.Write(xml)
		if end {
			select {
			case <-c.closed:
			default:
				close(c.closed)
			}
		}
	}
}

// unframe turns a message into what stands for it on a stream. end is set for that of the closing tag.
func unframe(kind websocket.MessageType, b []byte, limits xmlstream.Limits) (xml []byte, end bool, err error) {
	if kind != websocket.MessageText {
		return nil, false, streamError{cond: "not-well-formed", text: "a binary message"}
	}
	if len(b) == 0 || b[0] != '<' { // §3.3.3
		return nil, false, streamError{cond: "not-well-formed", text: "a message begins with <"}
	}
	e, err := xmlstream.Parse(b, limits)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = streamError{cond: "not-well-formed", text: "half an element"}
		}
		return nil, false, err
	}
	switch {
	case is(e, "open", nsFraming):
		return streamHeader(e, attr(e, "version")), false, nil
	case is(e, "close", nsFraming):
		return []byte(xmlstream.Footer), true, nil
	case e.NamespaceURI() == "": // §3.3.3: nothing is inherited
		return nil, false, streamError{cond: "invalid-namespace", text: "an element without a namespace"}
	}
	xml, err = xmlstream.AppendElement(nil, e, nsClient)
	return xml, false, err
}

// write gives the client what the session says, until it has ended.
func (c *webSocket) write() {
	defer c.pipe.Close()
	feed := newWebFeed(c.pipe)
	redirected := false
	for {
		said, err := feed.next()
		switch {
		case err == io.EOF:
			if redirected || c.send([]byte("<close xmlns='"+nsFraming+"'/>")) == nil {
				select { // §3.6: the other's <close/> comes first
				case <-c.closed:
				case <-time.After(linger):
				}
			}
			c.ws.Close(websocket.StatusNormalClosure, "")
			return
		case err != nil:
			breakWeb(c.request, broken(err))
			c.ws.CloseNow()
			return
		}
		b := said.xml
		if said.header != nil {
			b = openFrame(said.header)
		}
		redirected = redirected || is(said.e, "close", nsFraming)
		if c.send(b) != nil {
			c.ws.CloseNow()
			return
		}
	}
}

// send sends one message; a session that drips sends it in as many fragments as it has bytes.
func (c *webSocket) send(b []byte) error {
	ctx := context.Background()
	if !c.link.out.drip.Load() {
		return c.ws.Write(ctx, websocket.MessageText, b)
	}
	w, err := c.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for i := range b {
		if _, err := w.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return w.Close()
}

// openFrame is what stands for the server's stream header (§3.4).
func openFrame(h *etree.Element) []byte {
	o := elem("open", nsFraming, "from", attr(h, "from"), "to", attr(h, "to"), "id", attr(h, "id"), "version", attr(h, "version"))
	o.CreateAttr("xml:lang", "en")
	b, err := xmlstream.AppendStandalone(nil, o)
	if err != nil {
		panic(err) // what was read can be written
	}
	return b
}
