package register_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
	"github.com/go-xmppframework/xmpp/xmppuri"
)

const header = `
	C: <stream:stream to='{domain}' version='1.0'>
	S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='{domain}' id='1' version='1.0'>`

// begun is a stream up to the features after TLS.
const begun = header + `
	S: <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>
	C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
	S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
	S!tls` + header + `
	S: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>{tokens}</stream:features>`

const tokens = "<register xmlns='urn:xmpp:ibr-token:0'/>"

func features(extra string) string { return strings.Replace(begun, "{tokens}", extra, 1) }

const ask = `
	C: <iq type='get' id='{ask}'><query xmlns='jabber:iq:register'/></iq>
	S: <iq type='result' id='{ask}'><query xmlns='jabber:iq:register'>`

const endAsk = `</query></iq>`

// connected is a stream that has come to the end of begun, with the module on it. The transcripts go on from there.
func connected(t *testing.T, transcript string) (*register.Register, *xmpp.Stream) {
	t.Helper()
	srv := xmpptest.Script(t, transcript)
	cfg := srv.Config("juliet")
	cfg.Credentials = nil
	r := register.New(register.Config{})
	s := streamFor(t, cfg, r)
	must(t, s.Connect(t.Context()))
	return r, s
}

// events notes what a RegisterDelegate is told.
type events chan error

func (e events) DidRegister(context.Context, *xmpp.Stream)                   { e <- nil }
func (e events) DidNotRegister(_ context.Context, _ *xmpp.Stream, err error) { e <- err }

// TestRegisterLegacy is XEP-0077 section 3.1: the fields in their order, all of them, with the values that they came with.
func TestRegisterLegacy(t *testing.T) {
	testkit.Goroutines(t)
	r, s := connected(t, features("")+ask+`
		<instructions> Choose. </instructions><username/><password/><email/><key>k1</key>`+endAsk+`
		C: <iq type='set' id='{a}'><query xmlns='jabber:iq:register'><username>juliet</username><password>moon &amp; stars</password><email>j@example.com</email><key>k1</key></query></iq>
		S: <iq type='error' id='{a}'><query xmlns='jabber:iq:register'><username>juliet</username></query><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
		C: <iq type='set' id='{b}'><query xmlns='jabber:iq:register'><username>juliet2</username><password>moon &amp; stars</password><email>j@example.com</email><key>k1</key></query></iq>
		S: <iq type='result' id='{b}'/>`)
	told := make(events, 2)
	s.AddDelegate(xmpp.Delegate{Register: told})
	if !r.Offered() {
		t.Error("it was offered")
	}
	f, err := r.Retrieve(t.Context())
	must(t, err)
	if got, want := fmt.Sprintf("%q %v %v", f.Instructions, f.Registered, f.Legacy), `"Choose." false [{username } {password } {email } {key k1}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	err = r.Register(t.Context(), f, map[string]string{"username": "juliet", "password": "", "mail": "x"})
	var fill *register.FillError
	if !errors.As(err, &fill) || fill.Fields != f || !errors.Is(err, form.ErrRequired) || !errors.Is(err, form.ErrNoField) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{`"password"`, `"email"`, `"mail"`} {
		if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "username") {
			t.Errorf("got %v, want %s in it", err, name)
		}
	}
	values := map[string]string{"username": "juliet", "password": "moon & stars", "email": "j@example.com"}
	if err := r.Register(t.Context(), f, values); !errors.Is(err, stanza.Conflict) || !s.IsConnected() {
		t.Errorf("got %v, want a conflict", err)
	}
	values["username"] = "juliet2"
	must(t, r.Register(t.Context(), f, values))
	if a, b := <-told, <-told; !errors.Is(a, stanza.Conflict) || b != nil {
		t.Errorf("the delegate was told %v, %v", a, b)
	}
}

const registrationForm = `<instructions>Use the form.</instructions><username/><password/><x xmlns='jabber:x:data' type='form'>
	<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>
	<field type='text-single' var='username'><required/></field><field type='text-private' var='password'><required/></field>
	<field type='text-single' var='email'/>`

// TestRegisterForm: the form goes before the fields, and they are never sent together (section 4).
func TestRegisterForm(t *testing.T) {
	testkit.Goroutines(t)
	r, _ := connected(t, features("")+ask+registrationForm+`</x>`+endAsk+`
		C: <iq type='set' id='{a}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>
			<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>
			<field type='text-single' var='username'><value>juliet</value></field><field type='text-private' var='password'><value>secret</value></field>
			<field type='text-single' var='email'><value>j@example.com</value></field></x></query></iq>
		S: <iq type='result' id='{a}'/>`)
	must(t, r.RegisterAccount(t.Context(), register.Account{Password: "secret", Email: "j@example.com"}))
}

// TestRegisterRedirect is section 5.
func TestRegisterRedirect(t *testing.T) {
	testkit.Goroutines(t)
	r, _ := connected(t, features("")+ask+`<instructions>Go there.</instructions><x xmlns='jabber:x:oob'><url>https://example.com/new?a=b&amp;c</url></x>`+endAsk)
	err := r.RegisterAccount(t.Context(), register.Account{Password: "secret"})
	var away *register.RedirectError
	if !errors.As(err, &away) || away.URL != "https://example.com/new?a=b&c" {
		t.Error(err)
	}
}

const challenge = `<field type='hidden' var='challenge'><value>c1</value></field><field type='text-single' var='ocr' label='What do you see?'><required/>
	<media xmlns='urn:xmpp:media-element' height='80' width='290'><uri type='image/png'>cid:sha1+f24030b8d91d233bac14777be5ab531ca3b9f102@bob.xmpp.org</uri>
	<uri type='image/png'>https://example.com/c1.png</uri></media></field></x>
	<data xmlns='urn:xmpp:bob' cid='sha1+f24030b8d91d233bac14777be5ab531ca3b9f102@bob.xmpp.org' type='image/png' max-age='0'>aGkg dGhlcmU=</data>`

// TestRegisterChallenge is XEP-0158 inside the form, with the picture of XEP-0221 and XEP-0231; a wrong answer gets another challenge.
func TestRegisterChallenge(t *testing.T) {
	testkit.Goroutines(t)
	submit := func(id, answer string) string {
		return `
		C: <iq type='set' id='{` + id + `}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>
			<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>
			<field type='text-single' var='username'><value>juliet</value></field><field type='text-private' var='password'><value>secret</value></field>
			<field type='hidden' var='challenge'><value>c1</value></field><field type='text-single' var='ocr'><value>` + answer + `</value></field></x></query></iq>`
	}
	r, s := connected(t, features("")+ask+registrationForm+challenge+endAsk+submit("a", "wrong")+`
		S: <iq type='error' id='{a}'><query xmlns='jabber:iq:register'>`+registrationForm+challenge+`</query><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`+
		submit("b", "right")+`
		S: <iq type='result' id='{b}'/>`)
	err := r.RegisterAccount(t.Context(), register.Account{Password: "secret"})
	var fill *register.FillError
	if !errors.As(err, &fill) || !errors.Is(err, form.ErrRequired) {
		t.Fatal(err)
	}
	ask := fill.Fields.Challenges()
	if len(ask) != 1 || ask[0].Var != "ocr" || ask[0].Label != "What do you see?" || len(ask[0].Media.URIs) != 2 {
		t.Fatal(ask)
	}
	if typ, b, ok := fill.Fields.Data(ask[0].Media.URIs[0].URI); typ != "image/png" || string(b) != "hi there" || !ok {
		t.Error(typ, b, ok)
	}
	if _, _, ok := fill.Fields.Data(ask[0].Media.URIs[1].URI); ok {
		t.Error("it was not sent along")
	}
	values := map[string]string{"username": "juliet", "password": "secret", "ocr": "wrong"}
	err = r.Register(t.Context(), fill.Fields, values)
	var again *register.FormError
	if !errors.As(err, &again) || !errors.Is(err, stanza.NotAllowed) || len(again.Fields.Challenges()) != 1 || !s.IsConnected() {
		t.Fatal(err)
	}
	if _, b, ok := again.Fields.Data(again.Form.Field("ocr").Media.URIs[0].URI); string(b) != "hi there" || !ok {
		t.Error("the second picture is not there")
	}
	filled, err := again.Form.Submit().Set("username", "juliet").Set("password", "secret").Set("ocr", "right").Form()
	must(t, err)
	must(t, r.Submit(t.Context(), filled))
}

// TestChallengeNotRequired: one of several challenges is to be answered, although none is marked so.
func TestChallengeNotRequired(t *testing.T) {
	q, err := stanza.ParseElement(`<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='form'><field var='username'/><field var='qa' label='?'/><field var='audio_recog'/></x></query>`)
	must(t, err)
	f, err := register.ParseFields(q)
	must(t, err)
	r := register.New(register.Config{})
	if err := r.Register(t.Context(), f, map[string]string{"username": "x"}); !errors.Is(err, form.ErrRequired) {
		t.Error(err)
	}
	if err := r.Register(t.Context(), f, map[string]string{"audio_recog": "x"}); !errors.Is(err, xmpp.ErrInvalidState) { // filled in, and not to be sent
		t.Error(err)
	}
	if err := r.Register(t.Context(), nil, nil); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Error(err)
	}
}

func parseInvitation(t *testing.T, s string) xmppuri.Invitation {
	t.Helper()
	inv, err := xmppuri.ParseInvitation(s)
	must(t, err)
	return inv
}

// TestPreauth is XEP-0445 section 3.
func TestPreauth(t *testing.T) {
	testkit.Goroutines(t)
	for name, extra := range map[string]string{"now": tokens, "before": "<register xmlns='urn:xmpp:invite'/>"} {
		t.Run(name, func(t *testing.T) {
			r, s := connected(t, features(extra)+`
				C: <iq type='set' to='{domain}' id='{a}'><preauth xmlns='urn:xmpp:pars:0' token='used'/></iq>
				S: <iq type='error' from='{domain}' id='{a}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
				C: <iq type='set' to='{domain}' id='{b}'><preauth xmlns='urn:xmpp:pars:0' token='T'/></iq>
				S: <iq type='result' from='{domain}' id='{b}'/>`)
			if err := r.Preauth(t.Context(), "used"); !errors.Is(err, register.ErrToken) || !errors.Is(err, stanza.ItemNotFound) || !s.IsConnected() {
				t.Error(err)
			}
			must(t, r.Preauth(t.Context(), "T"))
		})
	}
	r, _ := connected(t, features(""))
	if err := r.Preauth(t.Context(), "T"); !errors.Is(err, xmpp.ErrUnsupported) {
		t.Error(err)
	}
	if err := r.Redeem(t.Context(), parseInvitation(t, "xmpp:example.test?register;preauth=T"), register.Account{Password: "x"}); !errors.Is(err, xmpp.ErrUnsupported) {
		t.Error(err)
	}
}

// TestSec_Invitation: a token is shown to nobody but the server that it is for, and for nothing else than what it is for.
func TestSec_Invitation(t *testing.T) {
	testkit.Goroutines(t)
	r, _ := connected(t, features(tokens))
	for _, in := range []string{
		"xmpp:evil.example?register;preauth=T",                // another server
		"xmpp:romeo@example.test?register;preauth=T",          // another name
		"xmpp:romeo@example.test?roster;preauth=T",            // for those who have an account
		"xmpp:romeo@evil.example.test?roster;preauth=T;ibr=y", // another server
	} {
		if err := r.Redeem(t.Context(), parseInvitation(t, in), register.Account{Password: "x"}); !errors.Is(err, register.ErrInvitation) {
			t.Errorf("%s: %v", in, err)
		}
	}
	inv := parseInvitation(t, "xmpp:example.test?register;preauth=T")
	if err := r.Redeem(t.Context(), inv, register.Account{Username: "romeo", Password: "x"}); !errors.Is(err, register.ErrInvitation) {
		t.Errorf("an account that is not the stream's: %v", err)
	}
	if err := r.Redeem(t.Context(), inv, register.Account{}); !errors.Is(err, register.ErrNoPassword) {
		t.Error(err)
	}
	if err := r.Accept(t.Context(), inv); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("before the login: %v", err)
	}
}

// TestAccept is XEP-0379 section 3.3, for who has an account.
func TestAccept(t *testing.T) {
	r, s, peer := pair(t)
	inv := parseInvitation(t, "xmpp:romeo@example.net?roster;preauth=T")
	var err error
	peer.While(func() { err = r.Redeem(t.Context(), inv, register.Account{}) }, "C: <presence type='subscribed' to='romeo@example.net'/>\nC: <presence type='subscribe' to='romeo@example.net'><preauth xmlns='urn:xmpp:pars:0' token='T'/></presence>")
	must(t, err)
	if err := r.Accept(t.Context(), parseInvitation(t, "xmpp:example.net?register;preauth=T")); !errors.Is(err, register.ErrInvitation) {
		t.Error(err)
	}
	inv.JID = s.MyJID().Bare()
	if err := r.Accept(t.Context(), inv); !errors.Is(err, register.ErrInvitation) {
		t.Errorf("one's own: %v", err)
	}
}

func TestPreauthToken(t *testing.T) {
	p := stanza.NewPresence(stanza.Subscribe, xmpp.MustParseJID("a@example.com"))
	if got := register.PreauthToken(p); got != "" {
		t.Error(got)
	}
	p.Add(stanza.New("preauth", "urn:xmpp:pars:0").A("token", "T"))
	if got := register.PreauthToken(p); got != "T" {
		t.Error(got)
	}
	p.SetType(stanza.Available)
	if got := register.PreauthToken(p); got != "" {
		t.Error(got)
	}
}

func TestReadInvite(t *testing.T) {
	f := form.New(form.TypeResult, "").Set("uri", "xmpp:example.com?register;preauth=T").Set("landing-url", "https://example.com/T").Set("expire", "2026-12-01T10:00:00Z")
	inv, err := register.ReadInvite(f)
	must(t, err)
	if inv.Token != "T" || inv.LandingURL != "https://example.com/T" || inv.Expires.Unix() != 1796119200 {
		t.Error(inv, inv.LandingURL, inv.Expires)
	}
	if inv, err := register.ReadInvite(f.Copy().Set("landing-url", "javascript:alert(1)").Set("expire")); err != nil || inv.LandingURL != "" || !inv.Expires.IsZero() {
		t.Error(inv, err)
	}
	for name, f := range map[string]*form.Form{
		"nil": nil, "empty": {}, "no invitation": f.Copy().Set("uri", "xmpp:example.com"), "no time": f.Copy().Set("expire", "tomorrow"),
	} {
		if _, err := register.ReadInvite(f); !errors.Is(err, register.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestService registers with a gateway (XEP-0100 section 4.1), changes that, and ends it.
func TestService(t *testing.T) {
	r, _, peer := pair(t)
	gw := r.Service(xmpp.MustParseJID("gateway.example.net"))
	var f *register.Fields
	var err error
	peer.While(func() { f, err = gw.Retrieve(t.Context()) }, `
		C: <iq type='get' to='gateway.example.net' id='{a}'><query xmlns='jabber:iq:register'/></iq>
		S: <iq type='result' from='gateway.example.net' id='{a}'><query xmlns='jabber:iq:register'><registered/><username>capulet</username><password/></query></iq>`)
	must(t, err)
	if !f.Registered || gw.JID().String() != "gateway.example.net" {
		t.Error(f)
	}
	peer.While(func() { err = gw.Register(t.Context(), f, map[string]string{"password": "secret"}) }, `
		C: <iq type='set' to='gateway.example.net' id='{b}'><query xmlns='jabber:iq:register'><username>capulet</username><password>secret</password></query></iq>
		S: <iq type='error' from='gateway.example.net' id='{b}'><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	if !errors.Is(err, stanza.NotAcceptable) {
		t.Error(err)
	}
	filled := form.New(form.TypeSubmit, register.NS).Set("username", "capulet")
	peer.While(func() { err = gw.Submit(t.Context(), filled) }, `
		C: <iq type='set' to='gateway.example.net' id='{c}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>
			<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field><field var='username'><value>capulet</value></field></x></query></iq>
		S: <iq type='result' from='gateway.example.net' id='{c}'/>`)
	must(t, err)
	peer.While(func() { err = gw.Cancel(t.Context()) }, `
		C: <iq type='set' to='gateway.example.net' id='{d}'><query xmlns='jabber:iq:register'><remove/></query></iq>
		S: <iq type='result' from='gateway.example.net' id='{d}'/>`)
	must(t, err)
}

// TestSec_Fields: what a server may send, and what of it is taken.
func TestSec_Fields(t *testing.T) {
	parse := func(s string) (*register.Fields, error) {
		e, err := stanza.ParseElement("<query xmlns='jabber:iq:register'>" + s + "</query>")
		must(t, err)
		return register.ParseFields(e)
	}
	for name, s := range map[string]string{
		"too many fields": strings.Repeat("<username/>", register.MaxFields+1),
		"too big a form":  "<x xmlns='jabber:x:data' type='form'>" + strings.Repeat("<field var='a'/>", form.MaxFields+1) + "</x>",
		"no form":         "<x xmlns='jabber:x:data' type='other'/>",
	} {
		if f, err := parse(s); !errors.Is(err, register.ErrAnswer) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := register.ParseFields(nil); !errors.Is(err, register.ErrAnswer) {
		t.Error(err)
	}
	if f, err := parse("<x xmlns='jabber:x:data' type='result'/>"); err != nil || f.Form != nil {
		t.Errorf("a form that is not to be filled in: %v, %v", f, err)
	}
	for _, url := range []string{"javascript:alert(1)", "file:///etc/passwd", "//example.com", "https:", "x", "http://a b/"} {
		if f, err := parse("<x xmlns='jabber:x:oob'><url>" + url + "</url></x>"); err != nil || f.URL != "" || f.Redirects() {
			t.Errorf("%s: %v, %v", url, f.URL, err)
		}
	}
	f, err := parse(strings.Repeat("<data xmlns='urn:xmpp:bob' cid='a'>aGk=</data><data xmlns='urn:xmpp:bob' cid='b'>?</data><data xmlns='urn:xmpp:bob'>aGk=</data>", 50) +
		"<data xmlns='urn:x' cid='c'>aGk=</data><f:username xmlns:f='urn:x'/>")
	must(t, err)
	for cid, want := range map[string]bool{"cid:a": true, "cid:b": false, "cid:": false, "cid:c": false, "a": false} {
		if _, _, ok := f.Data(cid); ok != want {
			t.Errorf("%s: %v", cid, ok)
		}
	}
	if len(f.Legacy) != 0 {
		t.Error(f)
	}
	f, err = parse("<username>SECRET</username><x xmlns='jabber:x:data' type='form'><field var='password'><value>SECRET</value></field></x>")
	must(t, err)
	account := register.Account{Username: "juliet", Password: "SECRET", Email: "SECRET", Values: map[string]string{"a": "SECRET"}}
	if s := fmt.Sprintf("%v %+v %#v %v %+v %#v", f, f, f, account, account, &account); strings.Contains(s, "SECRET") || !strings.Contains(s, "juliet") {
		t.Error(s)
	}
	var none *register.Fields
	if _, _, ok := none.Data("cid:a"); ok || none.Redirects() || none.Challenges() != nil || none.String() == "" {
		t.Error("nil fields")
	}
}

// TestSec_RegisterClear: nothing that a password or a token is in goes out in clear text.
func TestSec_RegisterClear(t *testing.T) {
	testkit.Goroutines(t)
	srv := xmpptest.ScriptWith(t, []xmpptest.Option{xmpptest.WithoutTLS()}, header+`
		S: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>`+tokens+`</stream:features>
		C: <iq type='get' id='{a}'><query xmlns='jabber:iq:register'/></iq>
		S: <iq type='result' id='{a}'><query xmlns='jabber:iq:register'><username/><password/></query></iq>`)
	cfg := srv.Config("juliet")
	cfg.TLSPolicy, cfg.Credentials = xmpp.InsecureTLSAllowed, nil
	r := register.New(register.Config{})
	s := streamFor(t, cfg, r)
	must(t, s.Connect(t.Context()))
	f, err := r.Retrieve(t.Context()) // may be asked
	must(t, err)
	account := register.Account{Username: "juliet", Password: "x"}
	for name, err := range map[string]error{
		"Register":        r.Register(t.Context(), f, map[string]string{"username": "juliet", "password": "x"}),
		"RegisterAccount": r.RegisterAccount(t.Context(), account),
		"Submit":          r.Submit(t.Context(), form.New(form.TypeSubmit, "")),
		"Preauth":         r.Preauth(t.Context(), "T"),
		"Redeem":          r.Redeem(t.Context(), parseInvitation(t, "xmpp:example.test?register;preauth=T"), account),
		"Service":         r.Service(xmpp.MustParseJID("gateway.example.net")).Register(t.Context(), f, map[string]string{"username": "juliet", "password": "x"}),
	} {
		if !errors.Is(err, xmpp.ErrTLSRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
