package commands_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/commands"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func pair(t *testing.T, cfg commands.Config) (*commands.Commands, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	c := commands.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := errors.Join(disco.New(disco.Config{NoAutoFetch: true}).Activate(s), c.Activate(s)); err != nil {
			t.Fatal(err)
		}
	})
	return c, s, peer
}

var responder = xmpp.MustParseJID("responder@domain")

const req = "C: <iq to='responder@domain' id='{%}' type='set'>"
const res = "S: <iq from='responder@domain' id='{%}' type='result'>"

func script(id string, lines ...string) string {
	return strings.ReplaceAll(strings.Join(lines, "\n"), "{%}", "{"+id+"}")
}

// TestRequester is XEP-0050 section 2.4, a command of several stages.
func TestRequester(t *testing.T) {
	c, _, peer := pair(t, commands.Config{Lang: "de"})
	var ses *commands.Session
	stage := func(id string, f func() error, transcript ...string) {
		t.Helper()
		peer.While(func() {
			if err := f(); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}, script(id, transcript...))
	}
	stage("a", func() (err error) {
		ses, err = c.Execute(t.Context(), responder, "config")
		return err
	}, req+"<command xmlns='http://jabber.org/protocol/commands' node='config' action='execute' xml:lang='de'/></iq>",
		res+`<command xmlns='http://jabber.org/protocol/commands' sessionid='s1' node='config' status='executing'><actions execute='next'><next/></actions><note type='warn'>careful</note>
			<x xmlns='jabber:x:data' type='form'><field var='service' type='list-single'><option><value>httpd</value></option></field></x><y xmlns='urn:y'/></command></iq>`)
	r := ses.Reply()
	if ses.Done() || r.Status != commands.Executing || r.Default != commands.Next || r.Notes[0] != (commands.Note{Severity: commands.Warn, Text: "careful"}) || len(r.Payload) != 1 || ses.JID() != responder || ses.Node() != "config" {
		t.Fatalf("%+v", r)
	}
	for _, err := range []error{ses.Prev(t.Context()), ses.Complete(t.Context(), nil)} {
		if !errors.Is(err, commands.ErrAction) {
			t.Errorf("not offered: %v", err)
		}
	}
	filled, err := ses.Form().Submit().Set("service", "httpd").Form()
	if err != nil {
		t.Fatal(err)
	}
	const sent = "<command xmlns='http://jabber.org/protocol/commands' node='config' sessionid='s1' "
	const got = "<command xmlns='http://jabber.org/protocol/commands' sessionid='s1' node='config' "
	// What is refused leaves the stage as it is.
	peer.While(func() {
		err := ses.Next(t.Context(), filled)
		var e *commands.Error
		if !errors.Is(err, commands.BadPayload) || !errors.Is(err, stanza.BadRequest) || !errors.As(err, &e) || ses.Done() {
			t.Errorf("refused: %v", err)
		}
	}, script("b", req+sent+"action='next' xml:lang='de'>*</command></iq>",
		"S: <iq from='responder@domain' id='{%}' type='error'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><bad-payload xmlns='http://jabber.org/protocol/commands'/></error></iq>"))
	stage("c", func() error { return ses.Next(t.Context(), filled) },
		req+sent+"action='next' xml:lang='de'><x xmlns='jabber:x:data' type='submit'><field var='service' type='list-single'><value>httpd</value></field></x></command></iq>",
		res+got+"status='executing'><actions execute='complete'><prev/><complete/></actions></command></iq>")
	stage("d", func() error { return ses.Prev(t.Context()) }, req+sent+"action='prev' xml:lang='de'/></iq>", res+got+"status='executing'><actions/></command></iq>")
	if r := ses.Reply(); r.Default != commands.Complete || len(r.Actions) != 0 {
		t.Errorf("no actions: %+v", r)
	}
	stage("e", func() error { return ses.Submit(t.Context(), nil) }, req+sent+"action='complete' xml:lang='de'/></iq>",
		res+got+"status='completed'><note type='info'>done</note></command></iq>")
	if !ses.Done() || ses.Reply().Err() != nil || !errors.Is(ses.Cancel(t.Context()), commands.ErrOver) {
		t.Errorf("%+v", ses.Reply())
	}
	stage("f", func() error {
		ses, err := c.Execute(t.Context(), responder, "fails")
		var failed *commands.FailedError
		if err == nil && (!errors.As(ses.Reply().Err(), &failed) || failed.Text != "no") {
			t.Errorf("failed: %v", ses.Reply().Err())
		}
		return err
	}, req+"<command xmlns='http://jabber.org/protocol/commands' node='fails' action='execute' xml:lang='de'/></iq>",
		res+"<command xmlns='http://jabber.org/protocol/commands' node='fails' status='completed'><note type='error'>no</note></command></iq>")
}

// TestSec_Answers: answers that are none.
func TestSec_Answers(t *testing.T) {
	c, _, peer := pair(t, commands.Config{})
	for i, answer := range []string{
		"", "<command xmlns='urn:x' status='completed'/>", "<command xmlns='http://jabber.org/protocol/commands' node='n'/>", "<command xmlns='http://jabber.org/protocol/commands' node='n' status='bogus'/>",
		"<command xmlns='http://jabber.org/protocol/commands' node='other' status='completed'/>", "<command xmlns='http://jabber.org/protocol/commands' node='n' status='executing'/>",
		"<command xmlns='http://jabber.org/protocol/commands' node='n' status='executing' sessionid='" + strings.Repeat("x", 2000) + "'/>",
		"<command xmlns='http://jabber.org/protocol/commands' node='n' status='completed'><x xmlns='jabber:x:data' type='form'>" + strings.Repeat("<field/>", form.MaxFields+1) + "</x></command>",
	} {
		peer.While(func() {
			if ses, err := c.Execute(t.Context(), responder, "n"); !errors.Is(err, commands.ErrAnswer) || ses != nil {
				t.Errorf("%.100s: %v", answer, err)
			}
		}, script(string(rune('a'+i)), req+"*</iq>", res+answer+"</iq>"))
	}
	var ses *commands.Session
	peer.While(func() { ses, _ = c.Execute(t.Context(), responder, "n") }, script("z", req+"*</iq>", res+"<command xmlns='http://jabber.org/protocol/commands' node='n' status='executing' sessionid='1'/></iq>"))
	peer.While(func() {
		if err := ses.Submit(t.Context(), nil); !errors.Is(err, commands.ErrAnswer) {
			t.Errorf("another session: %v", err)
		}
	}, script("y", req+"*</iq>", res+"<command xmlns='http://jabber.org/protocol/commands' node='n' status='executing' sessionid='2'/></iq>"))
	peer.While(func() {
		if err := ses.Submit(t.Context(), nil); !errors.Is(err, commands.SessionExpired) || !ses.Done() {
			t.Errorf("expired: %v", err)
		}
	}, script("x", req+"*</iq>", "S: <iq from='responder@domain' id='{%}' type='error'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><session-expired xmlns='http://jabber.org/protocol/commands'/></error></iq>"))
	// Section 5: commands of others do not belong in the list.
	peer.While(func() {
		list, err := c.List(t.Context(), responder)
		if err != nil || len(list) != 1 || list[0].Node != "mine" {
			t.Errorf("list: %+v, %v", list, err)
		}
	}, script("w", "C: <iq to='responder@domain' id='{%}' type='get'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>",
		res+"<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'><item jid='bank@other' node='pay'/><item jid='responder@domain'/><item jid='responder@domain' node='mine'/></query></iq>"))
}

// asker plays somebody who runs commands of ours.
type asker struct {
	t    *testing.T
	peer *xmpptest.Peer
	from string
}

func (a asker) send(command string) string {
	a.t.Helper()
	a.peer.Inject("<iq from='" + a.from + "' id='1' type='set'>" + strings.Replace(command, "<command ", "<command xmlns='http://jabber.org/protocol/commands' ", 1) + "</iq>")
	e := a.peer.Next()
	if to := stanza.AttrOr(e, "to", ""); to != a.from {
		a.t.Errorf("an answer to %q", to)
	}
	if x := stanza.Child(e, "error", stanza.NSClient); x != nil {
		var names []string
		for c := range stanza.Children(x, stanza.Any, stanza.Any) {
			names = append(names, c.Tag)
		}
		return strings.Join(names, " ")
	}
	return stanza.Compact(stanza.Child(e, "command", commands.NS))
}

func attrOf(t *testing.T, xml, name string) string {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return stanza.AttrOr(e, name, "")
}

// three is a command of three stages.
func three(ended func()) commands.Handler {
	field := func(name string) *form.Form {
		return &form.Form{Fields: form.Fields{{Var: name, Label: "Label of " + name, Type: form.TextSingle, Required: true, Validation: &form.Validation{Datatype: "xs:int"}}}}
	}
	return func(_ context.Context, r *commands.Request) (*commands.Response, error) {
		r.OnEnd(ended)
		return &commands.Response{Form: field("a"), Next: func(_ context.Context, r *commands.Request) (*commands.Response, error) {
			a := r.Form.Value("a")
			if a == "13" {
				return nil, &form.FieldError{Var: "a", Err: errors.New("unlucky")}
			}
			return commands.Ask(field("b"), func(_ context.Context, r *commands.Request) (*commands.Response, error) {
				return commands.Done(a + "+" + r.Form.Value("b") + " " + string(r.Action)), nil
			}), nil
		}}, nil
	}
}

// TestResponder goes through the stages, back, on, and wrong.
func TestResponder(t *testing.T) {
	c, _, peer := pair(t, commands.Config{Allow: func(from xmpp.JID) bool { return from.Local() == "romeo" }})
	ended := make(chan struct{}, 10)
	remove, err := c.Register(commands.Definition{Node: "three", Handler: three(func() { ended <- struct{}{} })})
	if err != nil {
		t.Fatal(err)
	}
	a := asker{t, peer, "romeo@example.test/orchard"}
	first := a.send("<command node='three'/>")
	id := attrOf(t, first, "sessionid")
	want := func(got, want string) {
		t.Helper()
		want = strings.ReplaceAll(want, "ID", id)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	head := `<command xmlns="http://jabber.org/protocol/commands" node="three" status="executing" sessionid="ID">`
	form1 := func(v string) string {
		return `<x xmlns="jabber:x:data" type="form"><field var="a" type="text-single" label="Label of a"><validate xmlns="http://jabber.org/protocol/xdata-validate" datatype="xs:int"/><required/>` + v + `</field></x>`
	}
	want(first, head+`<actions execute="next"><next/></actions>`+form1("")+`</command>`)
	submit := func(action, name, value string) string {
		return a.send("<command node='three' sessionid='" + id + "' action='" + action + "'><x xmlns='jabber:x:data' type='submit'><field var='" + name + "'><value>" + value + "</value></field></x></command>")
	}
	want(submit("next", "a", "x"), head+`<actions execute="next"><next/></actions>`+form1("")+`<note type="error">Label of a: not a value for this field: "x" is no xs:int</note></command>`)
	want(submit("next", "b", "1"), head+`<actions execute="next"><next/></actions>`+form1("")+`<note type="error">Label of a: a value is required</note></command>`)
	want(submit("next", "a", "13"), head+`<actions execute="next"><next/></actions>`+form1("<value>13</value>")+`<note type="error">Label of a: unlucky</note></command>`)
	second := submit("execute", "a", "1")
	if !strings.Contains(second, `<actions execute="complete"><prev/><complete/></actions>`) {
		t.Error(second)
	}
	want(submit("next", "b", "2"), "bad-request bad-action")
	want(submit("jump", "b", "2"), "bad-request malformed-action")
	want(submit("prev", "b", "2"), head+`<actions execute="next"><next/></actions>`+form1("<value>1</value>")+`</command>`)
	want(submit("prev", "b", "2"), "bad-request bad-action")
	want(a.send("<command node='three' sessionid='"+id+"' action='next'><x xmlns='jabber:x:data' type='cancel'/></command>"), "bad-request bad-payload")
	submit("next", "a", "5")
	want(submit("complete", "b", "2"), `<command xmlns="http://jabber.org/protocol/commands" node="three" status="completed" sessionid="ID"><note type="info">5+2 complete</note></command>`)
	<-ended
	// A replay finds nothing.
	want(submit("complete", "b", "2"), "not-allowed session-expired")
	id = attrOf(t, a.send("<command node='three'/>"), "sessionid")
	want(a.send("<command node='three' sessionid='"+id+"' action='cancel'/>"), `<command xmlns="http://jabber.org/protocol/commands" node="three" status="canceled" sessionid="ID"/>`)
	<-ended
	want(a.send("<command node='unknown'/>"), "item-not-found")
	want(a.send("<command node='three' action='next'/>"), "bad-request bad-action")
	if _, err := c.Register(commands.Definition{Node: "three", Handler: three(nil)}); !errors.Is(err, xmpp.ErrHandlerExists) {
		t.Errorf("twice: %v", err)
	}
	if _, err := c.Register(commands.Definition{Node: "x"}); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("no handler: %v", err)
	}
	id = attrOf(t, a.send("<command node='three'/>"), "sessionid")
	remove()
	<-ended
	want(a.send("<command node='three' sessionid='"+id+"' action='cancel'/>"), "service-unavailable")
}

// TestSec_ORG18: strangers are told nothing; sessions of others, floods of them, and large forms.
func TestSec_ORG18(t *testing.T) {
	c, s, peer := pair(t, commands.Config{MaxSessionsOfOne: 3, MaxSessions: 5})
	ended := make(chan struct{}, 100)
	anyone := commands.Definition{Node: "three", Handler: three(func() { ended <- struct{}{} })}
	remove, err := c.Register(anyone)
	if err != nil {
		t.Fatal(err)
	}
	romeo, mallory, me := asker{t, peer, "romeo@example.test/orchard"}, asker{t, peer, "mallory@evil.test/x"}, asker{t, peer, s.MyJID().Bare().String() + "/other"}
	for _, node := range []string{"three", "unknown"} { // by default the own account may, and nobody else
		if got := romeo.send("<command node='" + node + "'/>"); got != "service-unavailable" {
			t.Errorf("a stranger, %s: %s", node, got)
		}
	}
	if got := me.send("<command node='three'/>"); !strings.Contains(got, "executing") {
		t.Errorf("the own account: %s", got)
	}
	peer.Play("S: <iq from='romeo@example.test/orchard' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>\n" +
		"C: <iq to='romeo@example.test/orchard' id='1' type='result'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>\n" +
		"S: <iq from='romeo@example.test/orchard' id='2' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='three'/></iq>\n" +
		"C: <iq to='romeo@example.test/orchard' id='2' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	remove()
	<-ended
	anyone.Allow = commands.Anyone
	if _, err := c.Register(anyone); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(commands.Definition{Node: "mine", Handler: three(nil)}); err != nil {
		t.Fatal(err)
	}
	if got := romeo.send("<command node='mine'/>"); got != "forbidden" {
		t.Errorf("not his: %s", got)
	}
	id := attrOf(t, romeo.send("<command node='three'/>"), "sessionid")
	for _, other := range []asker{mallory, {t, peer, "romeo@example.test/elsewhere"}} {
		for _, action := range []string{"cancel", "next", "execute"} {
			if got := other.send("<command node='three' sessionid='" + id + "' action='" + action + "'/>"); got != "bad-request bad-sessionid" {
				t.Errorf("%s, %s: %s", other.from, action, got)
			}
		}
	}
	if got := romeo.send("<command node='mine' sessionid='" + id + "' action='next'/>"); got != "forbidden" {
		t.Errorf("with a session of another command: %s", got)
	}
	if _, err := c.Register(commands.Definition{Node: "four", Allow: commands.Anyone, Handler: three(func() {})}); err != nil {
		t.Fatal(err)
	}
	if got := romeo.send("<command node='four' sessionid='" + id + "' action='next'/>"); got != "bad-request bad-sessionid" {
		t.Errorf("with a session of another command that he may run: %s", got)
	}
	big := "<x xmlns='jabber:x:data' type='submit'>" + strings.Repeat("<field var='a'/>", form.MaxFields+1) + "</x>"
	if got := romeo.send("<command node='three' sessionid='" + id + "' action='next'>" + big + "</command>"); got != "bad-request bad-payload" {
		t.Errorf("a huge form: %s", got)
	}
	// A flood pushes out the flooder's own sessions only, from all its clients, and is refused in the end.
	for i := range 20 {
		m := asker{t, peer, "mallory@evil.test/" + string(rune('a'+i))}
		if got := m.send("<command node='three'/>"); !strings.Contains(got, "executing") {
			t.Fatalf("mallory's %d: %s", i, got)
		}
	}
	for range 17 {
		<-ended
	}
	if got := (asker{t, peer, "a@evil.test/x"}).send("<command node='three'/>"); !strings.Contains(got, "executing") {
		t.Errorf("a fifth session: %s", got)
	}
	if got := (asker{t, peer, "b@evil.test/x"}).send("<command node='three'/>"); got != "resource-constraint" {
		t.Errorf("one too many: %s", got)
	}
	if got := romeo.send("<command node='three' sessionid='" + id + "' action='cancel'/>"); !strings.Contains(got, "canceled") {
		t.Errorf("romeo's session: %s", got)
	}
	c.Deactivate()
	for range 5 {
		<-ended
	}
	if got := romeo.send("<command node='three'/>"); got != "service-unavailable" {
		t.Errorf("not active: %s", got)
	}
}

// TestSec_Running: handlers that take long keep nobody waiting, and there are only so many of them.
func TestSec_Running(t *testing.T) {
	c, _, peer := pair(t, commands.Config{Allow: commands.Anyone, MaxRunning: 3, MaxRunningOfOne: 2})
	leave := make(chan struct{})
	for node, h := range map[string]commands.Handler{
		"slow":  func(context.Context, *commands.Request) (*commands.Response, error) { <-leave; return nil, nil },
		"quick": func(context.Context, *commands.Request) (*commands.Response, error) { return nil, stanza.Conflict },
		"fails": func(context.Context, *commands.Request) (*commands.Response, error) { return nil, errors.New("secret") },
	} {
		if _, err := c.Register(commands.Definition{Node: node, Handler: h}); err != nil {
			t.Fatal(err)
		}
	}
	slow := func(who string) {
		peer.Inject("<iq from='" + who + "@example.test/x' id='slow' type='set'><command xmlns='http://jabber.org/protocol/commands' node='slow'/></iq>")
	}
	a, b := asker{t, peer, "a@example.test/x"}, asker{t, peer, "b@example.test/x"}
	slow("a")
	slow("a")
	if got := a.send("<command node='quick'/>"); got != "resource-constraint" {
		t.Errorf("a third of one account: %s", got)
	}
	if got := b.send("<command node='quick'/>"); got != "conflict" {
		t.Errorf("another account: %s", got)
	}
	if got := b.send("<command node='fails'/>"); got != "internal-server-error" {
		t.Errorf("a handler that fails: %s", got)
	}
	slow("b")
	if got := (asker{t, peer, "c@example.test/x"}).send("<command node='quick'/>"); got != "resource-constraint" {
		t.Errorf("a fourth: %s", got)
	}
	close(leave)
	for range 3 {
		if e := peer.Next(); stanza.AttrOr(e, "type", "") != "result" {
			t.Error(stanza.Compact(e))
		}
	}
	if got := a.send("<command node='quick'/>"); got != "conflict" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestRel_HandlerTimeout: the ctx of a handler ends, and the caller is answered.
func TestRel_HandlerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := pair(t, commands.Config{Allow: commands.Anyone, HandlerTimeout: time.Second})
		ended := make(chan struct{}, 1)
		if _, err := c.Register(commands.Definition{Node: "waits", Handler: func(ctx context.Context, r *commands.Request) (*commands.Response, error) {
			r.OnEnd(func() { ended <- struct{}{} })
			<-ctx.Done()
			return nil, ctx.Err()
		}}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if got := (asker{t, peer, "romeo@example.test/orchard"}).send("<command node='waits'/>"); got != "internal-server-error" || time.Since(start) != time.Second {
			t.Errorf("%s after %v", got, time.Since(start))
		}
		<-ended // it failed at its first stage
	})
}

// TestRel_Expiry: a session that nobody goes on with ends by itself.
func TestRel_Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := pair(t, commands.Config{Allow: commands.Anyone, SessionTimeout: 5 * time.Second})
		ended := make(chan struct{}, 1)
		if _, err := c.Register(commands.Definition{Node: "three", Handler: three(func() { ended <- struct{}{} })}); err != nil {
			t.Fatal(err)
		}
		a := asker{t, peer, "romeo@example.test/orchard"}
		start := time.Now()
		id := attrOf(t, a.send("<command node='three'/>"), "sessionid")
		time.Sleep(4 * time.Second)
		if got := a.send("<command node='three' sessionid='" + id + "' action='next'/>"); !strings.Contains(got, "executing") {
			t.Errorf("in time: %s", got)
		}
		<-ended
		if d := time.Since(start); d != 9*time.Second {
			t.Errorf("ended after %v", d)
		}
		if got := a.send("<command node='three' sessionid='" + id + "' action='next'/>"); got != "not-allowed session-expired" {
			t.Errorf("too late: %s", got)
		}
	})
}
