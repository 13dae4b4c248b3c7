package integration

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerVar) != "" {
		own()
	}
	os.Exit(Main(m))
}

func TestIntegrationServers(t *testing.T) {
	t.Run("login", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			address, password := s.NewAccount(t)
			mustLogin(t, s, STARTTLS, address, password, nil)
			mustLogin(t, s, DirectTLS, address, password, nil)
			if c, err := login(s, STARTTLS, address, "wrong", nil); err == nil {
				c.Close()
				t.Error("login with a wrong password succeeded")
			}
		})
	})
	t.Run("domains", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			for _, domain := range []string{Full, Lean, Hashed, Hashed256} {
				address, password := s.NewAccountAt(t, domain)
				mustLogin(t, s, STARTTLS, address, password, nil)
			}
			c, features := mustOpen(t, s, STARTTLS, Anon, nil)
			if !strings.Contains(features, ">ANONYMOUS<") {
				t.Fatalf("features of %s: %s", Anon, features)
			}
			if err := c.auth("ANONYMOUS", ""); err != nil {
				t.Fatal(err)
			}
			address, password := s.Admin(t, Lean)
			mustLogin(t, s, STARTTLS, address, password, nil)
		})
	})
	t.Run("new password", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			s.AddAccount(t, "twice", Lean, "first")
			s.AddAccount(t, "twice", Lean, "second 'quoted' \"<&>\"")
			mustLogin(t, s, STARTTLS, "twice@"+Lean, "second 'quoted' \"<&>\"", nil)
		})
	})
	t.Run("clear text", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			c, err := clearText(s)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			address, password := s.NewAccountAt(t, Plain)
			user, _, _ := strings.Cut(address, "@")
			if err := c.auth("PLAIN", "\x00"+user+"\x00"+password); err != nil {
				t.Fatal(err)
			}
		}, ClearText)
	})
	t.Run("client certificate", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			s.AddAccount(t, "alice", CertHost, "unused")
			const alice = "alice@" + CertHost
			c, features := mustOpen(t, s, ClientCert, CertHost, &tls.Config{Certificates: []tls.Certificate{s.ClientCertificate(t, alice)}})
			if !strings.Contains(features, ">EXTERNAL<") {
				t.Fatalf("features: %s", features)
			}
			if err := c.auth("EXTERNAL", ""); err != nil {
				t.Fatal(err)
			}
			rogue, features, err := open(s, ClientCert, CertHost, &tls.Config{Certificates: []tls.Certificate{s.RogueCertificate(t, alice)}})
			if err != nil {
				return // refused in the handshake
			}
			defer rogue.Close()
			if err := rogue.auth("EXTERNAL", ""); err == nil {
				t.Errorf("EXTERNAL with a rogue certificate succeeded; features: %s", features)
			}
		}, External)
	})
	t.Run("web", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}, DisableKeepAlives: true}
			hc := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			for _, url := range []string{s.BOSH(false), s.BOSH(true)} {
				res, err := hc.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s: %s: %s", url, res.Status, body)
				}
			}
		})
	})
	t.Run("component", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			for _, name := range []string{ComponentFull, ComponentLean} {
				if err := handshake(s, name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	})
}

// TestIntegrationFeatures holds the table of features against what servers say, where they say it before or right after login.
func TestIntegrationFeatures(t *testing.T) {
	advertised := []struct {
		feature Feature
		text    string
	}{
		{SCRAM512, ">SCRAM-SHA-512<"},
		{DigestMD5, ">DIGEST-MD5<"},
		{XOAuth2, ">X-OAUTH2<"},
		{BindingList, "urn:xmpp:sasl-cb:0"},
		{ChannelBindingExporter, "'tls-exporter'"},
		{ChannelBindingEndPoint, "'tls-server-end-point'"},
		{SASL2, "urn:xmpp:sasl:2"},
		{Bind2, "urn:xmpp:bind:0"},
		{FAST, "urn:xmpp:fast:0"},
		{InlineSM, "<sm xmlns='urn:xmpp:sm:3'/>"},
		{SCRAMUpgrade, "urn:xmpp:sasl:upgrade:0"},
		{StreamLimits, "urn:xmpp:stream-limits:0"},
	}
	Each(t, func(t *testing.T, s *Server) {
		address, _ := s.NewAccount(t)
		c, _ := mustOpen(t, s, DirectTLS, Full, nil)
		tc := c.Conn.(*tls.Conn)
		if got := tc.ConnectionState().Version; got != tls.VersionTLS13 {
			t.Errorf("TLS version %s, want 1.3", tls.VersionName(got))
		}
		c.Close()
		features := featuresFor(t, s, address)
		for _, a := range advertised {
			if got, want := strings.Contains(features, a.text), s.Has(a.feature); got != want {
				t.Errorf("%s: advertised %v, in the table %v", a.feature, got, want)
			}
		}
		if t.Failed() {
			t.Log(features)
		}
	})
	t.Run("TLS 1.2 only", func(t *testing.T) {
		Each(t, func(t *testing.T, s *Server) {
			address, password := s.NewAccountAt(t, TLS12Host)
			c := mustLogin(t, s, TLS12, address, password, nil)
			version := c.Conn.(*tls.Conn).ConnectionState().Version
			if got, want := version == tls.VersionTLS12, s.Has(TLS12Only); got != want {
				t.Errorf("%s spoken; TLS 1.2 only in the table: %v", tls.VersionName(version), want)
			}
		})
	})
}

// featuresFor returns the features inside TLS when the stream header says whom it is from.
func featuresFor(t *testing.T, s *Server, address string) string {
	t.Helper()
	conf := &tls.Config{ServerName: Full, RootCAs: s.Roots()}
	conn, err := tls.Dial("tcp4", s.Addr(DirectTLS), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	features, err := (&client{Conn: conn, domain: Full}).header(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(features, `"`, "'")
}
