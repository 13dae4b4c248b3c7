package xmpp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// TestSec_TLS01 takes the offer of STARTTLS away in every way: no credentials leave, 1,000 times.
func TestSec_TLS01(t *testing.T) {
	checkGoroutines(t)
	const (
		oldHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='example.test'>"
		message   = "<message from='boss@example.test'><body>x</body></message>"
		required  = "<required xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	)
	mechs := offerSASL("SCRAM-SHA-1", "PLAIN") + "<auth xmlns='http://jabber.org/features/iq-auth'/>"
	variants := map[string][]string{
		"no starttls":                {header, features(mechs)},
		"nothing at all":             {header, features()},
		"starttls comes too late":    {header, features(mechs), features(offerTLS, mechs)},
		"mechanisms come later":      {header, features(), features(mechs)},
		"required without starttls":  {header, features(required, mechs)},
		"another namespace":          {header, features("<starttls xmlns='urn:wrong'/>", mechs)},
		"no namespace":               {header, features("<starttls xmlns=''/>", mechs)},
		"one level too deep":         {header, features("<x xmlns='urn:x'>"+offerTLS+"</x>", mechs)},
		"features not of the stream": {header, "<features xmlns='jabber:client'>" + offerTLS + mechs + "</features>"},
		"a server before 1.0":        {oldHeader},
		"and with features":          {oldHeader, features(mechs)},
		"success first":              {header, "<success xmlns='" + nsSASL + "'/>"},
		"a challenge first":          {header, "<challenge xmlns='" + nsSASL + "'/>", features(mechs)},
		"a stanza first":             {header, message, features(mechs)},
	}
	// What a server says that offers nothing gives one error; what has no place there may give another.
	other := map[string]bool{"features not of the stream": true, "success first": true, "a challenge first": true, "a stanza first": true}
	type job struct {
		name  string
		parts []string
		delay time.Duration
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for j := range jobs {
				r := newRawServer(t, func(c *rawConn) {
					c.wait("version='1.0'>")
					for _, p := range j.parts {
						time.Sleep(j.delay)
						c.say(p)
					}
				})
				var got dispatched
				s, err := xmpp.New(r.config())
				if err != nil {
					t.Error(err)
					continue
				}
				s.AddDelegate(got.delegate())
				err = s.Login(context.Background())
				if !errors.Is(err, xmpp.ErrTLSRequired) && !other[j.name] || err == nil {
					t.Errorf("%s: Login returned %v", j.name, err)
				}
				got.nothing(t, s)
				for _, c := range r.done() {
					if bytes.Contains(c.seen, []byte("alice")) { // RFC 6120 section 4.7.1
						t.Errorf("%s: the account was named in clear text: %q", j.name, c.seen)
					}
					if what := credentialsIn(c.seen); what != "" || !c.ended {
						t.Errorf("%s: %s was sent, connection closed: %t", j.name, what, c.ended)
					}
				}
			}
		})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 0, len(variants))
	for name := range variants {
		names = append(names, name)
	}
	for range 1000 {
		name := names[rnd.IntN(len(names))]
		delay := time.Duration(rnd.IntN(3)) * time.Duration(rnd.IntN(25)) * time.Millisecond / 2
		jobs <- job{name, variants[name], delay}
	}
	close(jobs)
	wg.Wait()
}

// TestSec_TLS02 puts bytes behind <proceed/>.
func TestSec_TLS02(t *testing.T) {
	checkGoroutines(t)
	const injected = "<message from='boss@example.test'><body>pay</body></message>"
	early := features(offerSASL("PLAIN")) + injected
	try := func(t *testing.T, play func(c *rawConn)) (*rawConn, error) {
		t.Helper()
		var got dispatched
		r := newRawServer(t, play)
		s := newStream(t, r.config(), got.delegate())
		err := s.Login(within(t, 5*time.Second))
		got.nothing(t, s)
		c := r.done()[0]
		if what := credentialsIn(c.inClear()); what != "" {
			t.Errorf("%s was sent", what)
		}
		if err == nil || !c.ended {
			t.Errorf("Login returned %v, connection closed: %t", err, c.ended)
		}
		return c, err
	}
	for name, behind := range map[string]string{"features and a message": early, "one byte": "<", "white space": "\n", "a NUL": "\x00"} {
		t.Run("in one segment, "+name, func(t *testing.T) {
			c, err := try(t, func(c *rawConn) {
				c.open(offerTLS)
				c.wait("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				c.say(proceed + behind)
				c.upgrade(serverTLS())
			})
			if !errors.Is(err, xmpp.ErrTLSInjection) {
				t.Errorf("Login returned %v", err)
			}
			if len(c.seen) != c.off {
				t.Errorf("the client went on: %q", c.seen[c.off:])
			}
		})
	}
	t.Run("a moment later", func(t *testing.T) {
		_, err := try(t, func(c *rawConn) {
			c.starttls()
			time.Sleep(time.Millisecond)
			c.say(early)
			c.upgrade(serverTLS())
		})
		var re tls.RecordHeaderError
		if !errors.As(err, &re) {
			t.Errorf("Login returned %v", err)
		}
	})
	t.Run("what was said in clear is forgotten", func(t *testing.T) {
		r := newRawServer(t, func(c *rawConn) {
			c.wait("version='1.0'>")
			c.say(strings.Replace(header, "s1", "evil", 1) + features(offerTLS, offerSASL("PLAIN"),
				"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1</max-bytes></limits>"))
			c.wait("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.say(proceed)
			c.upgrade(serverTLS())
			c.open(offerSASL("SCRAM-SHA-256"))
			c.success(c.scram())
			c.bind(boundTo("alice@example.test/r"))
			c.wait("<message")
		})
		s := newStream(t, r.config())
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if id := s.Header().SelectAttrValue("id", ""); id != "s1" {
			t.Errorf("the id of the stream is %q", id)
		}
		if m := s.SupportedMechanisms(); len(m) != 1 || m[0] != "SCRAM-SHA-256" {
			t.Errorf("mechanisms: %q", m)
		}
		if err := s.AuthenticateWithPassword(within(t, 5*time.Second), secret); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(within(t, time.Second), chat("bob@example.test", "longer than one byte")); err != nil {
			t.Error(err)
		}
	})
}

// srvResolver answers for SRV records from tables; hosts are for the dialer.
type srvResolver struct {
	plain, direct []*net.SRV
	plainErr      error
}

func (r *srvResolver) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	list, err := r.plain, r.plainErr
	if service == "xmpps-client" {
		list, err = r.direct, nil
	}
	if err == nil && len(list) == 0 {
		err = &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, list, err
}

func (r *srvResolver) LookupNetIP(_ context.Context, _, host string) ([]netipAddr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func srvTo(hosts ...string) (list []*net.SRV) {
	for i, h := range hosts {
		list = append(list, &net.SRV{Target: h, Port: 5222, Priority: uint16(i)})
	}
	return list
}

// TestSec_TLS03: whatever led to the server, the certificate must be for the domain of the JID.
func TestSec_TLS03(t *testing.T) {
	checkGoroutines(t)
	certs := map[string]string{
		"SRV target": "target.srv.test", "Host": "host.override.test", "see-other-host": "other.redirect.test",
		"location of a session": "location.sm.test", "domain of the JID": rawDomain,
	}
	paths := map[string]func(*xmpp.Config){
		"STARTTLS by SRV":    func(c *xmpp.Config) { c.Host, c.Resolver = "", &srvResolver{plain: srvTo("target.srv.test.")} },
		"direct TLS by SRV":  func(c *xmpp.Config) { c.Host, c.Resolver = "", &srvResolver{direct: srvTo("target.srv.test.")} },
		"STARTTLS by Host":   func(c *xmpp.Config) { c.Host = "host.override.test" },
		"direct TLS by Host": func(c *xmpp.Config) { c.Host, c.DirectTLS = "host.override.test", true },
	}
	for certName, name := range certs {
		cert := certFor(name)
		for path, change := range paths {
			t.Run(certName+", "+path, func(t *testing.T) {
				srv := newServer(t, testserver.Options{Certificate: &cert})
				cfg := configFor(srv, "alice")
				change(&cfg)
				s := newStream(t, cfg)
				err := s.Login(within(t, 10*time.Second))
				if name == rawDomain {
					if err != nil || !s.IsSecure() {
						t.Errorf("the right certificate: %v", err)
					}
					return
				}
				var ve *tls.CertificateVerificationError
				if !errors.As(err, &ve) || !strings.Contains(fmt.Sprint(err), rawDomain) {
					t.Errorf("Login returned %v", err)
				}
			})
		}
	}
}

// TestSec_TLS05: an international domain is A-labels for TLS, and nothing else.
func TestSec_TLS05(t *testing.T) {
	checkGoroutines(t)
	const domain, ascii = "bücher.example", "xn--bcher-kva.example"
	for name, ok := range map[string]bool{ascii: true, domain: false, "*.example": true, "xn--bcher-kva.evil.test": false, "bcher.example": false} {
		t.Run(name, func(t *testing.T) {
			cert := certFor(strings.ReplaceAll(name, "ü", "zz"))
			cert.Certificate[0] = bytes.ReplaceAll(cert.Certificate[0], []byte("zz"), []byte("ü")) // crypto/x509 would not sign that
			var asked string
			srv, err := testserver.New(testserver.Options{Domain: domain, Certificate: &cert, TLSConfig: func(c *tls.Config) {
				c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { asked = h.ServerName; return nil, nil }
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			if err := srv.AddAccount("müller", "müller-pw"); err != nil {
				t.Fatal(err)
			}
			s := newStream(t, configFor(srv, "müller"))
			err = s.Login(within(t, 10*time.Second))
			if (err == nil) != ok {
				t.Errorf("Login returned %v", err)
			}
			if ok && s.MyJID().Bare().String() != "müller@"+domain {
				t.Errorf("logged in as %s", s.MyJID())
			}
			_ = s.Close(within(t, time.Second))
			srv.Close()
			if asked != ascii {
				t.Errorf("the server name in the handshake is %q", asked)
			}
		})
	}
}
