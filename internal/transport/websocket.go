package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"
	"github.com/coder/websocket"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

const (
	webSocketCloseWait = 250 * time.Millisecond // for the peer's close frame
	webSocketPingWait  = 10 * time.Second       // for the answer to a keep-alive
)

// webSocket is a stream in the messages of a WebSocket (RFC 7395): each is a document of one element.
type webSocket struct {
	ws   *websocket.Conn
	conn *webSocketConn
	tls  *tls.ConnectionState

	// the reader's
	lim    xmlstream.Limits
	open   bool  // a header has come
	err    error // final
	size   int
	offset int64 // bytes of all messages before

	heard   atomic.Bool // the peer's <close/> has come
	said    atomic.Bool // ours is written
	status  atomic.Int32
	pinging atomic.Bool
	once    sync.Once
}

// SeeOtherURIError says that the server has closed the stream and names another address for it (RFC 7395 section 3.6.1).
// Nothing of that address has been checked: that it is a wss: one, and not the one of before, is for the receiver to see.
type SeeOtherURIError struct {
	URI string // as the server wrote it
}

// Error names the address, quoted and cut.
func (e *SeeOtherURIError) Error() string {
	return "websocket: the server says that the stream is to be opened at " + webQuoted(e.URI)
}

var errWebSocketHeader = errors.New("websocket: Next before Header")

// Header is [Wire.Header]: it takes <open/> and returns the stream header that has the same meaning.
// Instead of it the server may send <close/>, with the results that Next has.
func (w *webSocket) Header() (*etree.Element, error) {
	e, err := w.message()
	if err != nil {
		return nil, err
	}
	switch {
	case e.NamespaceURI() == nsFraming && e.Tag == "close":
		return nil, w.closed(e)
	case e.NamespaceURI() != nsFraming || e.Tag != "open":
		return nil, w.refuse("bad-format", "in the place of <open/> there is "+webQuoted(e.Tag))
	case len(e.Child) > 0:
		return nil, w.refuse("bad-format", "<open/> has content")
	}
	w.open = true
	h := etree.NewElement("stream")
	h.Space = "stream"
	h.CreateAttr("xmlns", nsClient)
	h.CreateAttr("xmlns:stream", nsStreams)
	for _, a := range e.Attr {
		if key := a.FullKey(); key != "xmlns" && key != "xmlns:stream" {
			h.CreateAttr(key, a.Value)
		}
	}
	return h, nil
}

// Next is [Wire.Next]. Beyond the errors named there it returns a *[SeeOtherURIError].
// An error that is io.ErrUnexpectedEOF says with which code and reason the peer has closed the WebSocket, if they tell anything.
func (w *webSocket) Next() (*etree.Element, error) {
	if !w.open && w.err == nil {
		return nil, errWebSocketHeader
	}
	e, err := w.message()
	if err != nil || e.NamespaceURI() != nsFraming {
		return e, err
	}
	if e.Tag == "close" {
		return nil, w.closed(e)
	}
	return nil, w.refuse("bad-format", "inside the stream there is "+webQuoted(e.Tag)+" of the framing")
}

// closed is the result of the peer's <close/> (RFC 7395 section 3.6).
func (w *webSocket) closed(e *etree.Element) error {
	w.heard.Store(true)
	w.err = io.EOF
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == "see-other-uri" && a.Value != "" {
			w.err = &SeeOtherURIError{URI: a.Value}
		}
	}
	return w.err
}

// refuse ends the stream with an error of what was received last.
func (w *webSocket) refuse(condition, reason string) error {
	w.status.CompareAndSwap(int32(websocket.StatusNormalClosure), int32(websocket.StatusPolicyViolation))
	w.err = &xmlstream.Error{Condition: condition, Reason: reason, Offset: w.offset}
	return w.err
}

// messages are the buffers that messages are put together in; a wire that waits has none.
var messages = sync.Pool{New: func() any { return new(make([]byte, 4<<10)) }}

// message waits for the next message and returns its element.
func (w *webSocket) message() (*etree.Element, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.offset += int64(w.size)
	w.size = 0
	kind, r, err := w.ws.Reader(context.Background())
	if err != nil {
		return nil, w.readFailed(err)
	}
	if kind != websocket.MessageText {
		w.status.Store(int32(websocket.StatusUnsupportedData))
		return nil, w.refuse("bad-format", "a binary message")
	}
	buf := messages.Get().(*[]byte)
	defer func() {
		if len(*buf) <= 64<<10 {
			messages.Put(buf)
		}
	}()
	limit := w.lim.StanzaBytes
	if limit <= 0 {
		limit = xmlstream.DefaultLimits().StanzaBytes
	}
	n := 0
	for err == nil {
		if n > limit {
			w.status.Store(int32(websocket.StatusMessageTooBig))
			return nil, w.refuse("policy-violation", "the message is larger than the limit")
		}
		if n == len(*buf) {
			*buf = append(*buf, make([]byte, min(n, limit+1-n))...)
		}
		var more int
		more, err = r.Read((*buf)[n:min(len(*buf), limit+1)])
		n += more
	}
	if err != io.EOF { // the library gives exactly this at the end of a message
		return nil, w.readFailed(err)
	}
	return w.parse((*buf)[:n])
}

// parse takes the element out of a message. It must stand there alone (RFC 7395 section 3.3).
func (w *webSocket) parse(b []byte) (*etree.Element, error) {
	w.size = len(b)
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil, w.refuse("bad-format", "an empty message")
	case b[0] != '<':
		return nil, w.refuse("bad-format", "a message that does not begin with '<'")
	case bytes.HasPrefix(b, []byte("<?")):
		return nil, w.refuse("restricted-xml", "XML declaration or processing instruction")
	}
	// Prosody 13 leaves the declaration out that section 3.3.3 demands: why a stream has ended is worth reading all the same.
	if rest, ok := bytes.CutPrefix(b, []byte("<stream:error>")); ok {
		b = append([]byte("<stream:error xmlns:stream='"+nsStreams+"'>"), rest...)
	}
	e, err := xmlstream.Parse(b, w.lim)
	var xe *xmlstream.Error
	switch {
	case err == io.ErrUnexpectedEOF:
		return nil, w.refuse("not-well-formed", "the element does not end in its message")
	case errors.As(err, &xe):
		w.status.Store(int32(websocket.StatusPolicyViolation))
		xe.Offset += w.offset
		w.err = xe
		return nil, xe
	case err != nil:
		w.err = err
		return nil, err
	case e.NamespaceURI() == "":
		// What a stream's header declares counts for nothing here.
		return nil, w.refuse("invalid-namespace", webQuoted(e.Tag)+" is in no namespace")
	}
	return e, nil
}

// readFailed makes the final error of what the library has said. Only <close/> is an orderly end.
func (w *webSocket) readFailed(err error) error {
	var ce websocket.CloseError
	switch fault := w.conn.fault(); {
	case fault != nil:
		w.status.Store(int32(websocket.StatusProtocolError))
		err = fault
	case errors.As(err, &ce):
		err = io.ErrUnexpectedEOF
		told := ce.Reason != "" || ce.Code != websocket.StatusNormalClosure && ce.Code != websocket.StatusNoStatusRcvd
		if told {
			err = fmt.Errorf("websocket: the server has closed it with code %d, %s: %w", ce.Code, webQuoted(ce.Reason), err)
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
	default:
		err = fmt.Errorf("websocket: %w", err)
	}
	w.err = err
	return err
}

// Restart is [Wire.Restart]: after SASL a new <open/> takes the place of the one before (RFC 7395 section 3.7).
func (w *webSocket) Restart() {
	w.open = false
	if w.err == io.EOF {
		w.err = nil
	}
}

// SetLimits is [Wire.SetLimits]. StanzaBytes bounds a message, white space after the element included.
func (w *webSocket) SetLimits(l xmlstream.Limits) { w.lim = l }

// Size is [Wire.Size].
func (w *webSocket) Size() int { return w.size }

// AppendHeader is [Wire.AppendHeader].
func (w *webSocket) AppendHeader(dst []byte, h xmlstream.Header) []byte { return appendOpen(dst, h) }

// AppendElement is [Wire.AppendElement].
func (w *webSocket) AppendElement(dst []byte, e *etree.Element) ([]byte, error) {
	return appendAlone(dst, e)
}

// AppendFooter is [Wire.AppendFooter].
func (w *webSocket) AppendFooter(dst []byte) []byte { return appendClose(dst) }

// KeepAlive is [Wire.KeepAlive]: it pings, since white space may not be sent (RFC 7395 section 3.8), and has nothing for Write.
// The ping is sent while KeepAlive returns; there is at most one at a time. A connection that does not take it within five seconds is closed.
func (w *webSocket) KeepAlive(byte) []byte {
	if w.pinging.CompareAndSwap(false, true) {
		go func() {
			defer w.pinging.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), webSocketPingWait)
			defer cancel()
			_ = w.ws.Ping(ctx) // what is wrong shows itself to the reader
		}()
	}
	return nil
}

// Write is [Wire.Write]: one message for each element, and as few writes to the connection as may be.
// Pieces of nothing but white space are left out.
func (w *webSocket) Write(b []byte, ends []int) error {
	if len(ends) > 1 {
		w.conn.hold()
	}
	var err error
	bye, from := false, 0
	for _, end := range ends {
		piece := b[from:end]
		from = end
		if len(bytes.TrimSpace(piece)) == 0 {
			continue
		}
		if err = w.ws.Write(context.Background(), websocket.MessageText, piece); err != nil {
			break
		}
		bye = bye || isClose(piece)
	}
	if len(ends) > 1 {
		if failed := w.conn.release(); err == nil {
			err = failed
		}
	}
	if err != nil {
		return fmt.Errorf("websocket: %w", err)
	}
	if bye {
		w.said.Store(true)
	}
	return nil
}

// Close is [Wire.Close]. If AppendFooter's <close/> was written, the WebSocket is closed as RFC 6455 section 7 says,
// with 1000 or a code for what the peer has done wrong; the peer has 250 ms to answer that. Otherwise the connection is cut.
func (w *webSocket) Close() error {
	w.once.Do(func() {
		if w.said.Load() {
			cut := time.AfterFunc(webSocketCloseWait, w.conn.cut)
			_ = w.ws.Close(websocket.StatusCode(w.status.Load()), "")
			cut.Stop()
		}
		w.conn.cut()
		_ = w.ws.CloseNow()
	})
	return nil
}

// ConnectionState is [Secured.ConnectionState]. There is one connection.
func (w *webSocket) ConnectionState() (state tls.ConnectionState, bound, ok bool) {
	if w.tls == nil {
		return state, false, false
	}
	return *w.tls, true, true
}

// webQuoted quotes what a server has said for the text of an error, and cuts it.
func webQuoted(s string) string {
	const most = 80
	if len(s) <= most {
		return fmt.Sprintf("%+q", s)
	}
	return fmt.Sprintf("%+q…", s[:most])
}

var _ interface {
	Wire
	Secured
} = (*webSocket)(nil)
