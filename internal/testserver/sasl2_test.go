package testserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/sasl"
)

const bindRequest = "<bind xmlns='" + nsBind2 + "'><tag>Test</tag></bind>"

func TestSASL2Offer(t *testing.T) {
	const authentication = "authentication " + nsSASL2
	names := func(c *client, at ...string) []string {
		e := path(c.features, append([]string{authentication}, at...)...)
		if e == nil {
			return nil
		}
		return childNames(e)
	}
	t.Run("off", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{}), "juliet")
		if got := names(c); got != nil {
			t.Errorf("offered: %v", got)
		}
		c.write(authenticate("PLAIN", "\x00juliet\x00secret", ""))
		c.want("<stream:error><not-authorized xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
	})
	t.Run("on", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true})
		c := dial(t, srv)
		c.open()
		if got := names(c); got != nil {
			t.Errorf("offered without TLS: %v", got)
		}
		c.write(authenticate("PLAIN", "\x00juliet\x00secret", ""))
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("taken without TLS: %s", pretty(e))
		}
		c = sasl2Client(t, srv, "juliet")
		var mechs []string
		for _, e := range path(c.features, authentication).ChildElements() {
			if e.Tag == "mechanism" {
				mechs = append(mechs, e.Text())
			}
		}
		if want := mechanismNames(c.features); !slices.Equal(mechs, want) || len(want) == 0 {
			t.Errorf("mechanisms: got %v, want those of SASL: %v", mechs, want)
		}
		if got, want := names(c, "inline "+nsSASL2), []string{"bind", "fast", "sm"}; !slices.Equal(got, want) {
			t.Errorf("inline: got %v, want %v", got, want)
		}
		var vars []string
		for _, e := range path(c.features, authentication, "inline "+nsSASL2, "bind "+nsBind2, "inline "+nsBind2).ChildElements() {
			vars = append(vars, attr(e, "var"))
		}
		if want := []string{nsCarbons, nsCSI, nsSM}; !slices.Equal(vars, want) {
			t.Errorf("Bind 2: got %v, want %v", vars, want)
		}
		var tokens []string
		for _, e := range path(c.features, authentication, "inline "+nsSASL2, "fast "+nsFAST).ChildElements() {
			tokens = append(tokens, e.Text())
		}
		if want := []string{"HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"}; !slices.Equal(tokens, want) {
			t.Errorf("FAST: got %v, want %v", tokens, want)
		}
	})
	t.Run("without", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Without: []string{nsFAST, nsBind2}, Login: LoginOptions{NoInlineSM: true, NoSASL: true, NeedFrom: true}})
		c := sasl2Client(t, srv, "")
		if got, want := childNames(c.features), []string{"sasl-channel-binding"}; !slices.Equal(got, want) {
			t.Errorf("without from: got %v, want %v", got, want)
		}
		c = sasl2Client(t, srv, "juliet")
		if got := names(c); slices.Contains(got, "inline") || !slices.Contains(got, "mechanism") {
			t.Errorf("with from: got %v", got)
		}
		if got := mechanismNames(c.features); got != nil {
			t.Errorf("SASL of RFC 6120: %v", got)
		}
		c.login2("juliet", bindRequest+"<resume xmlns='"+nsSM+"' previd='x' h='0'/>")
		if got := c.jid.String(); got != "juliet@example.test" {
			t.Errorf("bound %s although that is not offered", got)
		}
	})
}

func TestSASL2(t *testing.T) {
	t.Run("by steps", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{SASL2: true}), "juliet")
		c.login2("juliet", "")
		if got := c.jid.String(); got != "juliet@example.test" {
			t.Errorf("authorization-identifier %s", got)
		}
		if got, want := c.wantFeatures(), []string{"bind", "session", "sm", "sub", "ver"}; !slices.Equal(got, want) {
			t.Errorf("features: got %v, want %v", got, want)
		}
		c.bind("balcony")
		c.quiet()
	})
	t.Run("in one", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Login: LoginOptions{BindMetadata: "<metadata xmlns='urn:xmpp:mam:2'/>"}})
		var bound []string
		for range 2 {
			c := sasl2Client(t, srv, "juliet")
			e := c.login2("juliet", "<bind xmlns='"+nsBind2+"'><tag>Test</tag><enable xmlns='"+nsCarbons+"'/><inactive xmlns='"+nsCSI+"'/></bind>")
			if path(e, "bound "+nsBind2, "metadata urn:xmpp:mam:2") == nil {
				t.Errorf("no metadata: %s", pretty(e))
			}
			if got, want := c.wantFeatures(), []string{"sm", "sub", "ver"}; !slices.Equal(got, want) {
				t.Errorf("features: got %v, want %v", got, want)
			}
			c.quiet()
			for _, ns := range []string{nsCarbons, nsCSI} {
				if !srv.Sessions(c.jid)[0].Enabled(ns) {
					t.Errorf("%s is not enabled", ns)
				}
			}
			c.write("<active xmlns='" + nsCSI + "'/>")
			c.quiet()
			if srv.Sessions(c.jid)[0].Enabled(nsCSI) {
				t.Error("still inactive")
			}
			bound = append(bound, c.jid.Resource())
		}
		if !strings.HasPrefix(bound[0], "Test~") || bound[0] != bound[1] {
			t.Errorf("resources %q of one user-agent", bound)
		}
	})
	t.Run("failures", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{SASL2: true}), "juliet")
		if _, err := c.auth2(sasl.ScramSHA256(), "juliet", "wrong", bindRequest); err == nil || err.Error() != "not-authorized" {
			t.Errorf("wrong password: %v", err)
		}
		if _, err := c.auth2(sasl.Anonymous(), "", "", ""); err == nil || err.Error() != "invalid-mechanism" {
			t.Errorf("not offered: %v", err)
		}
		c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='SCRAM-SHA-1'/>")
		c.want("<challenge xmlns='" + nsSASL2 + "'/>")
		c.write("<abort xmlns='" + nsSASL2 + "'/>")
		c.want("<failure xmlns='" + nsSASL2 + "'><aborted xmlns='" + nsSASL + "'/></failure>")
		c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='PLAIN'><initial-response>=</initial-response></authenticate>")
		c.want("<failure xmlns='" + nsSASL2 + "'><incorrect-encoding xmlns='" + nsSASL + "'/></failure>")
		c.login2("juliet", bindRequest)
		c.wantFeatures()
		c.quiet()
	})
	t.Run("too often", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{SASL2: true}), "juliet")
		for range maxAuthFailures {
			c.write("<response xmlns='" + nsSASL2 + "'/>")
			c.want("<failure xmlns='" + nsSASL2 + "'><malformed-request xmlns='" + nsSASL + "'/></failure>")
		}
		c.want("<stream:error><policy-violation xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
	})
	t.Run("SASL in between", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{SASL2: true}), "juliet")
		c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='PLAIN'/>")
		c.want("<challenge xmlns='" + nsSASL2 + "'/>")
		c.write("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + encode("\x00juliet\x00secret") + "</auth>")
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("got %s", pretty(e))
		}
	})
	for _, when := range []string{"during", "after"} {
		t.Run("twice, "+when, func(t *testing.T) {
			c := sasl2Client(t, newServer(t, Options{SASL2: true}), "juliet")
			if when == "after" {
				c.login2("juliet", "")
				c.wantFeatures()
			} else {
				c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='PLAIN'/>")
				c.want("<challenge xmlns='" + nsSASL2 + "'/>")
			}
			c.write("<authenticate xmlns='" + nsSASL2 + "' mechanism='PLAIN'/>")
			c.want("<stream:error><policy-violation xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
		})
	}
	t.Run("late proof", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true, Login: LoginOptions{LateProof: true}})
		c := sasl2Client(t, srv, "juliet")
		x := scramFor(t, sasl.ScramSHA256(), "juliet", "secret")
		initial, err := x.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.write(authenticate("SCRAM-SHA-256", string(initial), ""))
		for range 2 {
			v := c.want("<challenge xmlns='" + nsSASL2 + "'>{data}</challenge>")
			resp, err := x.Next(t.Context(), decode(t, v["data"]))
			if err != nil {
				t.Fatal(err)
			}
			c.write("<response xmlns='" + nsSASL2 + "'>" + encode(string(resp)) + "</response>")
		}
		c.want("<success xmlns='" + nsSASL2 + "'><authorization-identifier>juliet@example.test</authorization-identifier></success>")
		c.wantFeatures()

		c = dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		if err := c.auth(sasl.ScramSHA256(), "juliet", "secret", ""); err != nil {
			t.Errorf("SASL: %v", err)
		}
	})
}

func TestSASL2SM(t *testing.T) {
	const enable = "<bind xmlns='" + nsBind2 + "'><tag>Test</tag><enable xmlns='" + nsSM + "' resume='true'/></bind>"
	srv := newServer(t, Options{SASL2: true})
	c := sasl2Client(t, srv, "juliet")
	e := c.login2("juliet", enable)
	enabled := path(e, "bound "+nsBind2, "enabled "+nsSM)
	if enabled == nil || attr(enabled, "resume") != "true" {
		t.Fatalf("not enabled: %s", pretty(e))
	}
	c.wantFeatures()
	first := c.jid
	c.write("<presence/>")
	c.want("<presence from='{me}' to='{me}'/>")
	c.raw.(*Conn).Reset()
	if err := srv.Deliver("<message xmlns='jabber:client' from='romeo@example.test/x' to='" + first.String() + "' id='m'/>"); err != nil {
		t.Fatal(err)
	}

	c = sasl2Client(t, srv, "juliet")
	e = c.login2("juliet", enable+"<resume xmlns='"+nsSM+"' h='1' previd='"+attr(enabled, "id")+"'/>")
	if r := path(e, "resumed "+nsSM); r == nil || attr(r, "h") != "1" || path(e, "bound "+nsBind2) != nil || c.jid != first {
		t.Fatalf("not resumed: %s", pretty(e))
	}
	c.want("<message from='romeo@example.test/x' to='" + first.String() + "' id='m'/>") // no features
	c.want("<r xmlns='" + nsSM + "'/>")
	c.write("<a xmlns='" + nsSM + "' h='2'/><r xmlns='" + nsSM + "'/>")
	c.want("<a xmlns='" + nsSM + "' h='1'/>")

	c2 := sasl2Client(t, srv, "juliet")
	e = c2.login2("juliet", enable+"<resume xmlns='"+nsSM+"' h='1' previd='unknown'/>")
	if path(e, "failed "+nsSM, "item-not-found "+nsStanzas) == nil || path(e, "bound "+nsBind2, "enabled "+nsSM) == nil {
		t.Errorf("want <failed/> and <bound/>, got %s", pretty(e))
	}
	c2.wantFeatures()
	c2.quiet()
	if st, ok := srv.SMState(c2.jid); !ok || st.Handled != 1 {
		t.Errorf("state %+v, %v", st, ok)
	}

	c3 := sasl2Client(t, srv, "romeo")
	e = c3.login2("romeo", "<resume xmlns='"+nsSM+"' h='1' previd='unknown'/>")
	if path(e, "failed "+nsSM) == nil || c3.jid.Resource() != "" {
		t.Errorf("without bind: %s", pretty(e))
	}
	c3.wantFeatures()
	c3.bind("x")
	c3.quiet()

	srv.SetSM(SMOptions{RefuseEnable: true})
	c4 := sasl2Client(t, srv, "romeo")
	e = c4.login2("romeo", enable)
	if path(e, "bound "+nsBind2, "failed "+nsSM) == nil {
		t.Errorf("refused: %s", pretty(e))
	}
	c4.wantFeatures()
	c4.quiet()
}
