package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Wire carries one XMPP stream: it knows how the elements of a stream are framed, and nothing of what they mean.
//
// Header, Next, Restart, SetLimits and Size are for one goroutine, the reader; Write for one at a time, the writer;
// the Append methods do no input or output and must be quick: they are called under a lock. Close may be called at any time, by anybody.
type Wire interface {
	// Header waits for what opens the peer's stream: an element {http://etherx.jabber.org/streams}stream with its attributes, without children,
	// whatever stands in its place on this wire.
	Header() (*etree.Element, error)
	// Next waits for the next top-level element, as [xmlstream.Decoder.Next] gives it: io.EOF when the peer has closed its stream,
	// io.ErrUnexpectedEOF when the connection has ended without that, *[xmlstream.Error] for what may not come.
	Next() (*etree.Element, error)
	// Restart says that the next thing to come is a header again, as after SASL (RFC 6120 section 6.4.6).
	Restart()
	// SetLimits changes the limits, from the next element on.
	SetLimits(xmlstream.Limits)
	// Size is the number of bytes of the element that Next has returned last.
	Size() int

	// AppendHeader appends what opens the stream, or opens it anew.
	AppendHeader(dst []byte, h xmlstream.Header) []byte
	// AppendElement appends a top-level element. An error leaves dst as it was.
	AppendElement(dst []byte, e *etree.Element) ([]byte, error)
	// AppendFooter appends what closes the stream.
	AppendFooter(dst []byte) []byte
	// KeepAlive shows the peer that there is somebody, and returns what is to be written for that, nil if nothing is.
	KeepAlive(char byte) []byte

	// Write sends what the Append methods have made, or elements that were written by hand and stand alone;
	// ends are the places in b where they end, the last is len(b). An error ends the wire.
	Write(b []byte, ends []int) error

	// Close ends the connection now; whatever waits returns.
	Close() error
}

// Meter is told of what goes over a [Wire].
type Meter interface {
	// Read calls f, which waits for input and returns how many bytes have come.
	Read(f func() (int, error)) (int, error)
	// WillWrite is called before so many bytes are handed to the connection, DidWrite when they are:
	// a Write of much calls them in turns, so that a slow connection can be told from one that takes nothing.
	WillWrite()
	DidWrite(n int)
}

// Web is what the wires over HTTP, [DialWebSocket] and [DialBOSH], and [LookUpHostMeta] need of who uses them.
type Web struct {
	// Dial makes network connections. If nil, a zero [net.Dialer] does.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS gives the configuration for a handshake with a host; it must verify the certificate.
	TLS func(ctx context.Context, host string) (*tls.Config, error)
	// Client is used in the place of Dial and TLS, if it is not nil.
	Client *http.Client
	// Header is sent with each request. If nil, nothing is added.
	Header http.Header
	// Insecure permits ws: and http: addresses.
	Insecure bool
	// Limits bound what is received, as those of a Decoder. They count bytes after any decompression.
	Limits xmlstream.Limits
	// Meter is told what goes over the wire. It must not be nil.
	Meter Meter
}

// Secured is implemented by wires over HTTP.
type Secured interface {
	// ConnectionState is the TLS state of the connection; ok is false without TLS.
	// bound is false where there may be several connections, so that a login can be tied to the certificate only and not to the connection.
	ConnectionState() (state tls.ConnectionState, bound, ok bool)
}
