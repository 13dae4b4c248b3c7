package sasl_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/sasl"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// wire is a client that can log in and no more, so that nothing but this package is between the test and the server.
type wire struct {
	net.Conn
	got      string // read and not yet looked at
	domain   string
	features string
}

// dial opens a stream, from the address if it is not empty, and goes on to the features inside TLS.
func dial(t *testing.T, srv *integration.Server, port integration.Port, domain, from string, certs ...tls.Certificate) *wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", srv.Addr(port), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	w := &wire{Conn: conn, domain: domain}
	t.Cleanup(func() { _ = conn.Close() })
	w.header(t, "")
	w.ask(t, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed[^>]*>")
	tc := tls.Client(conn, &tls.Config{ServerName: domain, RootCAs: srv.Roots(), Certificates: certs})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	w.Conn, w.got = tc, ""
	w.header(t, from)
	return w
}

func (w *wire) header(t *testing.T, from string) {
	t.Helper()
	if from != "" {
		from = " from='" + from + "'"
	}
	w.features = w.ask(t, "<?xml version='1.0'?><stream:stream to='"+w.domain+"'"+from+
		" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", "(?s)<stream:features>.*</stream:features>")
}

// ask writes and then reads until the pattern matches.
func (w *wire) ask(t *testing.T, text, pattern string) string {
	t.Helper()
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(pattern)
	buf := make([]byte, 4096)
	for {
		if m := re.FindStringIndex(w.got); m != nil {
			answer := w.got[m[0]:m[1]]
			w.got = w.got[m[1]:]
			return answer
		}
		n, err := w.Read(buf)
		if w.got += string(buf[:n]); err != nil && !re.MatchString(w.got) {
			t.Fatalf("waiting for %s, got %q: %v", pattern, w.got, err)
		}
	}
}

// list returns what the pattern captures inside the element named parent, and not in its <inline/>, where other mechanisms stand.
func (w *wire) list(parent, pattern string) []string {
	_, in, _ := strings.Cut(w.features, "<"+parent+" ")
	in, _, _ = strings.Cut(in, "</"+parent+">")
	in = regexp.MustCompile("(?s)<inline.*</inline>").ReplaceAllString(in, "")
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
		out = append(out, m[1])
	}
	return out
}

// offer is what the server lists in the element, and what the connection is.
func (w *wire) offer(parent string) (sasl.Offer, func(string) ([]byte, error)) {
	st := w.Conn.(*tls.Conn).ConnectionState()
	binding := sasl.Bindings(&st)
	return sasl.Offer{
		Mechanisms: w.list(parent, "<mechanism>([^<]*)<"), BindingTypes: w.list("sasl-channel-binding", "type=['\"]([^'\"]*)"),
		TLSVersion: st.Version, Available: sasl.Available(binding), SASL2: parent == "authentication",
	}, binding
}

var errRefused = errors.New("the server says failure")

// auth runs an exchange with a mechanism, on the SASL of RFC 6120.
func (w *wire) auth(t *testing.T, m sasl.Mechanism, p sasl.Params) (sasl.Client, error) {
	t.Helper()
	c, err := m.New(p)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	data, err := c.Start(ctx)
	if err != nil {
		return c, err
	}
	text := base64.StdEncoding.EncodeToString(data)
	if data != nil && text == "" {
		text = "="
	}
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	send := "<auth" + ns + " mechanism='" + m.Name + "'>" + text + "</auth>"
	for {
		answer := w.ask(t, send, "(?s)<(challenge|success)[^>]*(/>|>.*</(challenge|success)>)|<failure.*</failure>")
		_, text, _ = strings.Cut(strings.TrimSuffix(answer, "/>"), ">")
		text, _, _ = strings.Cut(text, "<")
		if data, err = base64.StdEncoding.DecodeString(text); strings.HasPrefix(answer, "<failure") {
			return c, fmt.Errorf("%w: %s", errRefused, answer)
		}
		switch {
		case err != nil:
			t.Fatalf("got %q: %v", answer, err)
		case strings.HasPrefix(answer, "<success"):
			return c, c.Success(ctx, data)
		}
		if data, err = c.Next(ctx, data); err != nil {
			return c, err
		}
		send = "<response" + ns + ">" + base64.StdEncoding.EncodeToString(data) + "</response>"
	}
}

// TestIntegrationSelect: what Select puts first logs in, on each TLS version and in each way of storing passwords.
func TestIntegrationSelect(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		for _, domain := range []string{integration.Full, integration.Hashed, integration.Hashed256, integration.TLS12Host} {
			port := integration.STARTTLS
			if domain == integration.TLS12Host {
				port = integration.TLS12
			}
			addr, pw := srv.NewAccountAt(t, domain)
			user, _, _ := strings.Cut(addr, "@")
			w := dial(t, srv, port, domain, "")
			offer, binding := w.offer("mechanisms")
			choices, err := sasl.Select(sasl.Default(), offer, sasl.Policy{})
			if err != nil {
				t.Fatalf("%s: %v", domain, err)
			}
			first := choices[0]
			_, err = w.auth(t, first.Mechanism, sasl.Params{
				Credentials: sasl.Credentials{Username: user, Password: password(pw)}, Binding: binding, BindingType: first.BindingType,
				ServerOffersPlus: first.ServerOffersPlus, Offer: &offer,
			})
			t.Logf("%s: %s %s of %v, %v: %v", domain, first.Mechanism.Name, first.BindingType, offer.Mechanisms, offer.BindingTypes, err)
			if err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
	})
}

func TestIntegrationDigestMD5(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		for user, pw := range map[string]string{"digest": "plain-ASCII", `digest-q`: `"quoted\,"`, "digest-latin": "pässwörd", "digest-more": "пароль"} {
			srv.AddAccount(t, user, integration.Full, pw)
			p := sasl.Params{Credentials: sasl.Credentials{Username: user, Password: password(pw)}, Domain: integration.Full}
			if _, err := dial(t, srv, integration.STARTTLS, integration.Full, "").auth(t, sasl.DigestMD5(), p); err != nil {
				t.Errorf("%s: %v", user, err)
			}
			p.Credentials.Password = password("wrong")
			if _, err := dial(t, srv, integration.STARTTLS, integration.Full, "").auth(t, sasl.DigestMD5(), p); !errors.Is(err, errRefused) {
				t.Errorf("%s, wrong password: got %v, want a failure", user, err)
			}
		}
	}, integration.DigestMD5)
}

func TestIntegrationExternal(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		addr := "external@" + integration.CertHost
		srv.AddAccount(t, "external", integration.CertHost, "unused")
		for _, authzid := range []string{"", addr} {
			w := dial(t, srv, integration.ClientCert, integration.CertHost, addr, srv.ClientCertificate(t, addr))
			offer, _ := w.offer("mechanisms")
			choices, err := sasl.Select(append(sasl.Default(), sasl.External()), offer, sasl.Policy{})
			if err != nil || choices[0].Mechanism.Name != "EXTERNAL" {
				t.Fatalf("got %v, %v, want EXTERNAL first", choices, err)
			}
			if _, err := w.auth(t, choices[0].Mechanism, sasl.Params{Credentials: sasl.Credentials{Authzid: authzid}}); err != nil {
				t.Errorf("as %q: %v", authzid, err)
			}
		}
	}, integration.External)
}

// TestIntegrationXOAuth2: ejabberd offers the mechanism, but has no way to make a token without a package that is not installed with it.
func TestIntegrationXOAuth2(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		addr, _ := srv.NewAccount(t)
		user, _, _ := strings.Cut(addr, "@")
		p := sasl.Params{Credentials: sasl.Credentials{Username: user, Password: password("t0ken")}}
		_, err := dial(t, srv, integration.STARTTLS, integration.Full, "").auth(t, sasl.XOAuth2(), p)
		if !errors.Is(err, errRefused) || strings.Contains(err.Error(), "malformed") {
			t.Errorf("got %v, want a failure, and not because of the message", err)
		}
		t.Log(err)
	}, integration.XOAuth2)
}

// TestIntegrationOAuthBearer: Prosody offers the mechanism where passwords are hashed and then knows no token; it says so in its own way.
func TestIntegrationOAuthBearer(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		addr, _ := srv.NewAccountAt(t, integration.Hashed256)
		user, domain, _ := strings.Cut(addr, "@")
		w := dial(t, srv, integration.STARTTLS, domain, "")
		if offer, _ := w.offer("mechanisms"); !slices.Contains(offer.Mechanisms, "OAUTHBEARER") {
			t.Skipf("not offered by %s: %v", srv.Kind, offer.Mechanisms)
		}
		p := sasl.Params{Credentials: sasl.Credentials{Username: user, Password: password("t0ken")}, Domain: domain}
		c, err := w.auth(t, sasl.OAuthBearer(), p)
		t.Logf("%v; %v", err, sasl.Explain(c))
		if !errors.Is(err, errRefused) {
			t.Errorf("got %v, want a failure", err)
		}
	})
}

// sasl2 runs an exchange of XEP-0388, with the children that go into the first element. It returns the whole <success/>.
func (w *wire) sasl2(t *testing.T, m sasl.Mechanism, p sasl.Params, children string) (string, error) {
	t.Helper()
	c, err := m.New(p)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	data, err := c.Start(ctx)
	if err != nil {
		return "", err
	}
	send := "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + m.Name + "'><initial-response>" + base64.StdEncoding.EncodeToString(data) +
		"</initial-response><user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>t</software></user-agent>" + children + "</authenticate>"
	for {
		answer := w.ask(t, send, "(?s)<challenge.*</challenge>|<(success|failure).*</(success|failure)>")
		var text string
		switch {
		case strings.HasPrefix(answer, "<failure"):
			return answer, fmt.Errorf("%w: %s", errRefused, answer)
		case strings.HasPrefix(answer, "<success"):
			if _, text, _ = strings.Cut(answer, "<additional-data"); text != "" {
				_, text, _ = strings.Cut(text, ">")
				text, _, _ = strings.Cut(text, "<")
			}
			data, _ = base64.StdEncoding.DecodeString(text)
			return answer, c.Success(ctx, data)
		}
		_, text, _ = strings.Cut(answer, ">")
		text, _, _ = strings.Cut(text, "<")
		data, _ = base64.StdEncoding.DecodeString(text)
		if data, err = c.Next(ctx, data); err != nil {
			return answer, err
		}
		send = "<response xmlns='urn:xmpp:sasl:2'>" + base64.StdEncoding.EncodeToString(data) + "</response>"
	}
}

// TestIntegrationHT obtains a token for each mechanism that the server lists, by SASL2 with all the rules of XEP-0440, and logs in with it.
func TestIntegrationHT(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		addr, pw := srv.NewAccount(t)
		user, domain, _ := strings.Cut(addr, "@")
		w := dial(t, srv, integration.STARTTLS, domain, addr)
		offer, _ := w.offer("fast")
		usable, err := sasl.SelectHT(offer, sasl.Policy{InsecureUnboundToken: true})
		if err != nil {
			t.Fatalf("%v of %v", err, offer.Mechanisms)
		}
		for _, choice := range usable {
			name := choice.Mechanism.Name
			w := dial(t, srv, integration.STARTTLS, domain, addr)
			offer, binding := w.offer("authentication")
			scram, err := sasl.Select(sasl.Default(), offer, sasl.Policy{})
			if err != nil {
				t.Errorf("SASL2 offers %v and %v: %v", offer.Mechanisms, offer.BindingTypes, err)
				continue
			}
			answer, err := w.sasl2(t, scram[0].Mechanism, sasl.Params{
				Credentials: sasl.Credentials{Username: user, Password: password(pw)}, Binding: binding, BindingType: scram[0].BindingType,
				ServerOffersPlus: scram[0].ServerOffersPlus, Offer: &offer,
			}, "<request-token xmlns='urn:xmpp:fast:0' mechanism='"+name+"'/>")
			token := regexp.MustCompile(`<token[^>]* token=['"]([^'"]+)`).FindStringSubmatch(answer)
			if err != nil || token == nil {
				t.Errorf("%s: %v, no token in %s", name, err, answer)
				continue
			}
			w = dial(t, srv, integration.STARTTLS, domain, addr)
			_, binding = w.offer("fast")
			p := sasl.Params{Credentials: sasl.Credentials{Username: user, Password: password(token[1])}, Binding: binding}
			const fast = "<fast xmlns='urn:xmpp:fast:0'/>"
			if _, err := w.sasl2(t, choice.Mechanism, p, fast); err != nil {
				t.Errorf("%s after %s: %v", name, scram[0].Mechanism.Name, err)
			}
			p.Credentials.Password = password("wrong")
			w = dial(t, srv, integration.STARTTLS, domain, addr)
			if _, p.Binding = w.offer("fast"); p.Binding != nil {
				if _, err := w.sasl2(t, choice.Mechanism, p, fast); !errors.Is(err, errRefused) {
					t.Errorf("%s, wrong token: got %v, want a failure", name, err)
				}
			}
			t.Logf("%s after %s %s: yes", name, scram[0].Mechanism.Name, scram[0].BindingType)
		}
	}, integration.FAST)
}
