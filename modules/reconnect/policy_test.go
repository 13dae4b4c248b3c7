package reconnect_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// streamErrors are the conditions of RFC 6120 section 4.9.3, two of RFC 3920, and one that nobody knows.
var streamErrors = map[string]reconnect.Action{
	"bad-format":               reconnect.RetryLater,
	"bad-namespace-prefix":     reconnect.RetryLater,
	"conflict":                 reconnect.GiveUp,
	"connection-timeout":       reconnect.RetryLater,
	"host-gone":                reconnect.GiveUp,
	"host-unknown":             reconnect.GiveUp,
	"improper-addressing":      reconnect.RetryLater,
	"internal-server-error":    reconnect.RetryLater,
	"invalid-from":             reconnect.GiveUp,
	"invalid-id":               reconnect.GiveUp,
	"invalid-namespace":        reconnect.GiveUp,
	"invalid-xml":              reconnect.GiveUp,
	"not-authorized":           reconnect.GiveUp,
	"not-well-formed":          reconnect.RetryLater,
	"policy-violation":         reconnect.GiveUp,
	"remote-connection-failed": reconnect.RetryLater,
	"reset":                    reconnect.RetryLater,
	"resource-constraint":      reconnect.RetryLater,
	"restricted-xml":           reconnect.RetryLater,
	"see-other-host":           reconnect.RetryLater, // without an address
	"system-shutdown":          reconnect.RetryLater,
	"undefined-condition":      reconnect.RetryLater,
	"unsupported-encoding":     reconnect.GiveUp,
	"unsupported-feature":      reconnect.GiveUp,
	"unsupported-stanza-type":  reconnect.RetryLater,
	"unsupported-version":      reconnect.GiveUp,
	"xml-not-well-formed":      reconnect.RetryLater,
	"never-heard-of":           reconnect.RetryLater,
}

// saslErrors are those of RFC 6120 section 6.5, and one that nobody knows.
var saslErrors = map[xmpp.SASLCondition]reconnect.Action{
	xmpp.Aborted:              reconnect.Retry,
	xmpp.AccountDisabled:      reconnect.GiveUp,
	xmpp.CredentialsExpired:   reconnect.GiveUp,
	xmpp.EncryptionRequired:   reconnect.GiveUp,
	xmpp.IncorrectEncoding:    reconnect.GiveUp,
	xmpp.InvalidAuthzid:       reconnect.GiveUp,
	xmpp.InvalidMechanism:     reconnect.GiveUp,
	xmpp.MalformedRequest:     reconnect.GiveUp,
	xmpp.MechanismTooWeak:     reconnect.GiveUp,
	xmpp.NotAuthorized:        reconnect.GiveUp,
	xmpp.TemporaryAuthFailure: reconnect.RetryLater,
	"never-heard-of":          reconnect.GiveUp,
}

func connectError(errs ...error) error {
	ce := &xmpp.ConnectError{Domain: "example.test"}
	for _, err := range errs {
		ce.Attempts = append(ce.Attempts, xmpp.Attempt{Step: "stream", Addr: "a.example.test:5222", Err: err})
	}
	return ce
}

func seeOtherHost(text string) error {
	el, err := stanza.ParseElement("<error xmlns='http://etherx.jabber.org/streams'><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" + text + "</see-other-host></error>")
	if err != nil {
		panic(err)
	}
	return &xmpp.StreamError{Condition: "see-other-host", Element: el}
}

// TestPolicyFor is the table of Config.Policy's default.
func TestPolicyFor(t *testing.T) {
	type row struct {
		name string
		err  error
		want reconnect.Decision
	}
	act := func(a reconnect.Action) reconnect.Decision { return reconnect.Decision{Action: a} }
	rows := []row{
		{"closed by the server", nil, act(reconnect.RetryLater)},
		{"end of the connection", io.ErrUnexpectedEOF, act(reconnect.Retry)},
		{"nothing to write to", xmpp.ErrWriteTimeout, act(reconnect.Retry)},
		{"refused", connectError(&net.OpError{Op: "dial", Err: errors.New("refused")}), act(reconnect.Retry)},
		{"no such host", connectError(&net.DNSError{IsNotFound: true}), act(reconnect.Retry)},
		{"no server at all", connectError(), act(reconnect.Retry)},
		{"timeout", connectError(xmpp.ErrNegotiationTimeout), act(reconnect.Retry)},
		{"slow delegate", &xmpp.SlowDelegateError{}, act(reconnect.Retry)},
		{"no TLS", connectError(xmpp.ErrTLSRequired), act(reconnect.RetrySlowly)},
		{"injection", connectError(xmpp.ErrTLSInjection), act(reconnect.RetrySlowly)},
		{"certificate", connectError(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: new(x509.Certificate)}}), act(reconnect.RetrySlowly)},
		{"authority", connectError(x509.UnknownAuthorityError{}), act(reconnect.RetrySlowly)},
		{"certificate there, refused here", connectError(x509.UnknownAuthorityError{}, io.EOF), act(reconnect.Retry)},
		{"host-unknown on all", connectError(&xmpp.StreamError{Condition: "host-unknown"}, &xmpp.StreamError{Condition: "host-gone"}), act(reconnect.GiveUp)},
		{"host-unknown on one", connectError(&xmpp.StreamError{Condition: "host-unknown"}, &xmpp.StreamError{Condition: "system-shutdown"}), act(reconnect.RetryLater)},
		{"redirected at last", connectError(io.EOF, seeOtherHost("b.example.test:5269")), reconnect.Decision{Action: reconnect.RetryNow, Addr: "b.example.test:5269"}},
		{"redirected by another", connectError(seeOtherHost("b.example.test:5269"), io.EOF), act(reconnect.Retry)},
		{"redirected", seeOtherHost("b.example.test"), reconnect.Decision{Action: reconnect.RetryNow, Addr: "b.example.test:5222"}},
		{"redirected in login", &xmpp.AuthError{Step: "SASL", Err: seeOtherHost("b.example.test")}, reconnect.Decision{Action: reconnect.RetryNow, Addr: "b.example.test:5222"}},
		{"mechanisms", &xmpp.AuthError{Err: sasl.ErrNoMechanism}, act(reconnect.GiveUp)},
		{"downgrade", &xmpp.AuthError{Err: xmpp.ErrMechanismDowngrade}, act(reconnect.RetrySlowly)},
		{"impostor", &xmpp.AuthError{Err: sasl.ErrServerSignature}, act(reconnect.RetrySlowly)},
		{"SCRAM's e=", &xmpp.AuthError{Err: sasl.ErrServerError}, act(reconnect.GiveUp)},
		{"offer changed", &xmpp.AuthError{Step: "SASL", Err: &sasl.DowngradeError{Reason: "x"}}, act(reconnect.RetrySlowly)},
		{"token of OAuth", &xmpp.AuthError{Step: "SASL", Condition: xmpp.NotAuthorized, Err: &sasl.OAuthError{Status: "invalid_token"}}, act(reconnect.GiveUp)},
		{"token of OAuth, no condition", &xmpp.AuthError{Step: "SASL", Err: &sasl.OAuthError{Status: "invalid_token"}}, act(reconnect.GiveUp)},
		{"task of SASL2", &xmpp.AuthError{Step: "SASL", Err: fmt.Errorf("%w: a task", xmpp.ErrUnexpectedElement)}, act(reconnect.RetryLater)},
		{"storage of logins", &xmpp.AuthError{Step: "SASL", Err: fmt.Errorf("cannot be read: %w", &os.PathError{Err: os.ErrPermission})}, act(reconnect.Retry)},
		{"component: still connected", &xmpp.AuthError{Step: "handshake", Err: &xmpp.StreamError{Condition: "conflict"}}, act(reconnect.RetryLater)},
		{"component: secret", &xmpp.AuthError{Step: "handshake", Condition: xmpp.NotAuthorized, Err: &xmpp.StreamError{Condition: "not-authorized"}}, act(reconnect.GiveUp)},
		{"component: name", &xmpp.AuthError{Step: "handshake", Err: &xmpp.StreamError{Condition: "host-unknown"}}, act(reconnect.GiveUp)},
		{"certificate of a web server", connectError(&url.Error{Op: "Get", URL: "https://example.test", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}), act(reconnect.RetrySlowly)},
		{"a proxy wants another password", connectError(&xmpp.ProxyError{Proxy: "http://p:1", Status: 407}), act(reconnect.RetrySlowly)},
		{"a proxy cannot reach the server", connectError(&xmpp.ProxyError{Proxy: "http://p:1", Status: 502}), act(reconnect.Retry)},
		{"host-meta has none", connectError(fmt.Errorf("%w: no address", xmpp.ErrUnsupported)), act(reconnect.RetryLater)},
		{"password callback", &xmpp.AuthError{Err: errors.New("the key chain is locked")}, act(reconnect.Retry)},
		{"bind: conflict", &xmpp.AuthError{Step: "bind", Err: &stanza.Error{Type: stanza.Cancel, Condition: stanza.Conflict}}, act(reconnect.RetryLater)},
		{"bind: not allowed", &xmpp.AuthError{Step: "bind", Err: &stanza.Error{Type: stanza.Auth, Condition: stanza.NotAuthorized}}, act(reconnect.GiveUp)},
		{"no binding", &xmpp.AuthError{Step: "bind", Err: xmpp.ErrUnsupported}, act(reconnect.RetryLater)},
		{"nonsense", connectError(xmpp.ErrUnexpectedElement), act(reconnect.RetryLater)},
		{"found here", &xmpp.StreamError{Condition: "policy-violation", Local: true, Err: xmpp.ErrUnexpectedElement}, act(reconnect.RetryLater)},
		{"no credentials", xmpp.ErrNoCredentials, act(reconnect.GiveUp)},
		{"closed", xmpp.ErrClosed, act(reconnect.GiveUp)},
		{"vetoed", reconnect.ErrVetoed, act(reconnect.Retry)},
		{"wrapped", &xmpp.DisconnectedError{Cause: &xmpp.StreamError{Condition: "conflict"}}, act(reconnect.GiveUp)},
	}
	for cond, want := range streamErrors {
		rows = append(rows, row{"stream: " + cond, &xmpp.StreamError{Condition: cond}, act(want)})
	}
	for cond, want := range saslErrors {
		rows = append(rows, row{"SASL: " + string(cond), &xmpp.AuthError{Step: "SASL", Condition: cond}, act(want)})
	}
	for _, r := range rows {
		if got := reconnect.PolicyFor(r.err); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
	if s := fmt.Sprint(reconnect.Retry, reconnect.RetryLater, reconnect.RetrySlowly, reconnect.RetryNow, reconnect.GiveUp, reconnect.Action(9)); s != "retry retry later retry slowly retry now give up Action(9)" {
		t.Error(s)
	}
}

// TestRedirectAddress is RFC 6120 section 4.9.3.19: what the text of see-other-host may be.
func TestRedirectAddress(t *testing.T) {
	for text, want := range map[string]string{
		"other.example":                         "other.example:5222",
		"other.example:9222":                    "other.example:9222",
		" other.example:9222\n":                 "other.example:9222",
		"192.0.2.1":                             "192.0.2.1:5222",
		"192.0.2.1:80":                          "192.0.2.1:80",
		"[2001:41D0:1:A49b::1]:9222":            "[2001:41D0:1:A49b::1]:9222",
		"[2001:41D0:1:A49b::1]":                 "[2001:41D0:1:A49b::1]:5222",
		"2001:41D0:1:A49b::1":                   "[2001:41D0:1:A49b::1]:5222",
		"":                                      "",
		":5222":                                 "",
		"other.example:0":                       "",
		"other.example:65536":                   "",
		"other.example:":                        "",
		"other.example:xmpp":                    "",
		"xmpp://other.example":                  "",
		"a@other.example":                       "",
		"two words":                             "",
		"a&#10;b":                               "",
		strings.Repeat("x", 256):                "",
		"other.example:5222/":                   "",
		"xn--bcher-kva.example:5222":            "xn--bcher-kva.example:5222",
		"bücher.example":                        "bücher.example:5222",
		"<see-other-host>x</see-other-host>":    "",
		"other.example<x xmlns='urn:x'>y</x>":   "other.example:5222",
		"other.example:5222 other.example:5223": "",
	} {
		if got := reconnect.Redirect(seeOtherHost(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := reconnect.Redirect(&xmpp.StreamError{Condition: "see-other-host"}); got != "" {
		t.Error(got)
	}
}
