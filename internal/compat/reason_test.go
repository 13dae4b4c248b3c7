package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
)

const (
	yes        = "yes"
	notOffered = "not offered"
	notThere   = "not on this transport"
)

// reason is what a page has room for of an error; nothing in it may change from run to run.
func reason(err error) string {
	var none *sasl.NoMechanismError
	var auth *xmpp.AuthError
	var stream *xmpp.StreamError
	var connect *xmpp.ConnectError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return yes
	case errors.As(err, &none):
		if len(none.Refused) == 1 {
			return none.Refused[0].Reason
		}
		return notOffered
	case errors.As(err, &auth) && auth.Condition != "":
		said := string(auth.Condition)
		if auth.Text != "" {
			said += " (" + strings.TrimSuffix(strings.Join(strings.Fields(auth.Text), " "), ".") + ")"
		}
		return "refused: " + said
	case errors.As(err, &stream):
		return "stream error: " + stream.Condition
	case errors.Is(err, xmpp.ErrUnsupported):
		return notOffered
	case errors.Is(err, sasl.ErrDowngrade):
		return "given up here: looks like a downgrade"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, xmpp.ErrNegotiationTimeout):
		return "no answer"
	case errors.Is(err, sasl.ErrBinding):
		return notThere
	case errors.As(err, &record):
		return "no TLS there"
	case errors.Is(err, xmpp.ErrUnexpectedElement):
		text := err.Error()
		return text[strings.LastIndex(text, ": ")+2:]
	case errors.As(err, &connect) && len(connect.Attempts) == 1:
		return reason(connect.Attempts[0].Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the server closes the connection"
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if strings.Contains(text, "404 Not Found") {
		return "not found"
	}
	return text[:min(len(text), 160)]
}
