package testserver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
)

// TestTokenProof pins HT-SHA-256 to values made elsewhere.
func TestTokenProof(t *testing.T) {
	binding := make([]byte, 32)
	for i := range binding {
		binding[i] = byte(i)
	}
	for _, tt := range []struct {
		binding              []byte
		initiator, responder string
	}{
		{nil, "dXNlcgCQl3h0YaGE4PqE7ADBOBGQtsTRao7ERTx7KsXn/Pk17Q==", "TlE0CWMUdIY7mGyfPoweJ8op0derntQJfnr9YAe/nGI="},
		{binding, "dXNlcgAMV0VXav7qcRlgVJGGoxplyfMoIF7ji2aCWz1Mhys5XA==", "EmBXmzTVWuuk5DBipBLbYJoKcVOr0hiw8UhEXE6DUp8="},
	} {
		const token = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm"
		if got := encode("user\x00" + string(tokenProof(token, "Initiator", tt.binding))); got != tt.initiator {
			t.Errorf("initiator: got %s, want %s", got, tt.initiator)
		}
		if got := encode(string(tokenProof(token, "Responder", tt.binding))); got != tt.responder {
			t.Errorf("responder: got %s, want %s", got, tt.responder)
		}
	}
}

// requestToken logs in with the password and returns the token that it was given.
func requestToken(t testing.TB, srv *Server, mechanism string) string {
	t.Helper()
	c := sasl2Client(t, srv, "juliet")
	e := c.login2("juliet", "<request-token xmlns='"+nsFAST+"' mechanism='"+mechanism+"'/>")
	defer c.raw.Close()
	return tokenOf(e)
}

func tokenOf(e *etree.Element) string {
	if t := child(e, "token", nsFAST); t != nil {
		return attr(t, "token")
	}
	return ""
}

// useToken logs in with a token. It returns the token that comes back, or the condition of the failure.
func useToken(t testing.TB, srv *Server, mechanism, token, fast, more string) (next, failure string) {
	t.Helper()
	c := sasl2Client(t, srv, "juliet")
	defer c.raw.Close()
	var binding []byte
	if typ := map[string]string{"EXPR": "tls-exporter", "ENDP": "tls-server-end-point"}[mechanism[strings.LastIndex(mechanism, "-")+1:]]; typ != "" {
		cs := c.tls.ConnectionState()
		var err error
		if typ == "tls-exporter" {
			binding, err = cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		} else {
			binding = endPoint(cs.PeerCertificates[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.write(authenticate(mechanism, "juliet\x00"+string(tokenProof(token, "Initiator", binding)), "<fast xmlns='"+nsFAST+"' "+fast+"/>"+more))
	e := c.next()
	if is(e, "failure", nsSASL2) {
		return "", e.ChildElements()[0].Tag
	}
	if got, want := string(additional(t, e)), string(tokenProof(token, "Responder", binding)); got != want {
		t.Errorf("the server did not prove itself: %q", got)
	}
	c.wantFeatures()
	return tokenOf(e), ""
}

func TestFAST(t *testing.T) {
	for _, mechanism := range []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"} {
		t.Run(mechanism, func(t *testing.T) {
			srv := newServer(t, Options{SASL2: true})
			token := requestToken(t, srv, mechanism)
			if token == "" {
				t.Fatal("no token")
			}
			next, failure := useToken(t, srv, mechanism, token, "count='1'", "")
			if failure != "" || next == "" || next == token {
				t.Fatalf("got %q, %s", next, failure)
			}
			// The old one is good until the new one was used.
			if _, failure = useToken(t, srv, mechanism, token, "count='2'", ""); failure != "" {
				t.Errorf("the old token: %s", failure)
			}
			if n := srv.Tokens("juliet"); n != 2 {
				t.Errorf("%d tokens, want 2", n)
			}
			if _, failure = useToken(t, srv, mechanism, next, "", ""); failure == "" {
				t.Error("a token is good that another one has replaced before its first use")
			}
		})
	}
	const mechanism = "HT-SHA-256-NONE"
	t.Run("rotation", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true})
		first := requestToken(t, srv, mechanism)
		second, _ := useToken(t, srv, mechanism, first, "", "")
		third, failure := useToken(t, srv, mechanism, second, "", "")
		if third == "" || failure != "" {
			t.Fatalf("got %q, %s", third, failure)
		}
		if _, failure = useToken(t, srv, mechanism, first, "", ""); failure != "not-authorized" {
			t.Errorf("the first token after the second was used: %q", failure)
		}
	})
	t.Run("kept", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Login: LoginOptions{KeepToken: true}})
		token := requestToken(t, srv, mechanism)
		for range 2 {
			if next, failure := useToken(t, srv, mechanism, token, "", ""); next != "" || failure != "" {
				t.Errorf("got %q, %s", next, failure)
			}
		}
		next, failure := useToken(t, srv, mechanism, token, "", "<request-token xmlns='"+nsFAST+"' mechanism='HT-SHA-256-EXPR'/>")
		if next == "" || failure != "" {
			t.Fatalf("asked for: got %q, %s", next, failure)
		}
		if _, failure := useToken(t, srv, "HT-SHA-256-EXPR", next, "", ""); failure != "" {
			t.Error(failure)
		}
	})
	t.Run("refused", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Login: LoginOptions{KeepToken: true}})
		token := requestToken(t, srv, mechanism)
		for _, tt := range []struct{ mechanism, token, fast, want string }{
			{mechanism, token, "count='7'", ""},
			{mechanism, token, "count='7'", "not-authorized"}, // a replay
			{mechanism, token, "count='6'", "not-authorized"},
			{mechanism, token, "count='x'", "malformed-request"},
			{mechanism, token, "count='8'", ""},
			{mechanism, token + "x", "", "not-authorized"},
			{"HT-SHA-256-EXPR", token, "", "not-authorized"},
			{"HT-SHA-512-NONE", token, "", "invalid-mechanism"},
			{mechanism, token, "invalidate='true'", ""},
			{mechanism, token, "", "not-authorized"},
		} {
			if _, got := useToken(t, srv, tt.mechanism, tt.token, tt.fast, ""); got != tt.want {
				t.Errorf("%s %s: got %q, want %q", tt.mechanism, tt.fast, got, tt.want)
			}
		}
		token = requestToken(t, srv, mechanism)
		if err := srv.RevokeTokens("juliet"); err != nil {
			t.Fatal(err)
		}
		if _, got := useToken(t, srv, mechanism, token, "", ""); got != "not-authorized" {
			t.Errorf("revoked: %q", got)
		}
		token = requestToken(t, srv, mechanism)
		srv.AddAccount("juliet", "secret")
		if _, got := useToken(t, srv, mechanism, token, "", ""); got != "not-authorized" {
			t.Errorf("after a change of the password: %q", got)
		}
		if token = requestToken(t, srv, "HT-SHA-256-UNIQ"); token != "" {
			t.Error("a token for what the connection cannot do")
		}
	})
	t.Run("expiry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{SASL2: true, Login: LoginOptions{TokenLife: time.Hour}})
			c := sasl2Client(t, srv, "juliet")
			e := c.login2("juliet", "<request-token xmlns='"+nsFAST+"' mechanism='"+mechanism+"'/>")
			token := tokenOf(e)
			if got, want := attr(child(e, "token", nsFAST), "expiry"), time.Now().Add(time.Hour).UTC().Format(time.RFC3339); got != want {
				t.Errorf("expiry %s, want %s", got, want)
			}
			time.Sleep(59 * time.Minute)
			if _, got := useToken(t, srv, mechanism, token, "", ""); got != "" {
				t.Error(got)
			}
			time.Sleep(time.Minute)
			if _, got := useToken(t, srv, mechanism, token, "", ""); got != "credentials-expired" {
				t.Errorf("got %q", got)
			}
			token = requestToken(t, srv, mechanism)
			if err := srv.ExpireTokens("juliet"); err != nil {
				t.Fatal(err)
			}
			if _, got := useToken(t, srv, mechanism, token, "", ""); got != "credentials-expired" || srv.Tokens("juliet") != 0 {
				t.Errorf("got %q, %d are left", got, srv.Tokens("juliet"))
			}
		})
	})
	t.Run("offered", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Login: LoginOptions{FASTMechanisms: []string{mechanism}}})
		c := sasl2Client(t, srv, "juliet")
		var got []string
		for _, e := range path(c.features, "authentication "+nsSASL2, "inline "+nsSASL2, "fast "+nsFAST).ChildElements() {
			got = append(got, e.Text())
		}
		if !slices.Equal(got, []string{mechanism}) {
			t.Errorf("offered: %v", got)
		}
		if requestToken(t, srv, "HT-SHA-256-EXPR") != "" {
			t.Error("a token for what is not offered")
		}
	})
}
