package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/rpc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

func pair(t *testing.T, cfg rpc.Config) (*rpc.RPC, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	r := rpc.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := r.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return r, s, peer
}

var romeo = xmpp.MustParseJID("romeo@example.test/orchard")

// TestCall is XEP-0009 section 3, and all types of values both ways.
func TestCall(t *testing.T) {
	r, _, peer := pair(t, rpc.Config{})
	type point struct {
		X      int
		Y      float64 `rpc:"y"`
		Hidden string  `rpc:"-"`
	}
	peer.While(func() {
		got, err := r.Call(t.Context(), romeo, "examples.getStateName", 6, "a<b", true, 2.5, time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC), []byte{0, 255}, []string{"x", "y"},
			map[string]any{"b": []any{1, "z"}, "a": false}, &point{X: -1, Y: 2})
		want := map[string]any{"name": "Colorado", "plain": " text ", "i": -7, "i4": 4, "d": -0.5, "t": time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), "t2": time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC),
			"b": []byte("hi"), "yes": true, "list": []any{1, []any{}, map[string]any{}}, "none": nil}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %#v, %v\nwant %#v", got, err, want)
		}
	}, `
		C: <iq to='romeo@example.test/orchard' id='{a}' type='set'><query xmlns='jabber:iq:rpc'><methodCall><methodName>examples.getStateName</methodName><params>
			<param><value><int>6</int></value></param><param><value><string>a&lt;b</string></value></param><param><value><boolean>1</boolean></value></param>
			<param><value><double>2.5</double></value></param><param><value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value></param><param><value><base64>AP8=</base64></value></param>
			<param><value><array><data><value><string>x</string></value><value><string>y</string></value></data></array></value></param>
			<param><value><struct><member><name>a</name><value><boolean>0</boolean></value></member>
				<member><name>b</name><value><array><data><value><int>1</int></value><value><string>z</string></value></data></array></value></member></struct></value></param>
			<param><value><struct><member><name>X</name><value><int>-1</int></value></member><member><name>y</name><value><double>2</double></value></member></struct></value></param>
			</params></methodCall></query></iq>
		S: <iq from='romeo@example.test/orchard' id='{a}' type='result'><query xmlns='jabber:iq:rpc'><methodResponse><params><param><value><struct>
			<member><name>name</name><value><string>Colorado</string></value></member><member><name>plain</name><value> text </value></member>
			<member><name>i</name><value><int>-7</int></value></member><member><name>i4</name><value><i4>4</i4></value></member><member><name>d</name><value><double>-0.5</double></value></member>
			<member><name>t</name><value><dateTime.iso8601>20010203T04:05:06</dateTime.iso8601></value></member><member><name>t2</name><value><dateTime.iso8601>2001-02-03T04:05:06Z</dateTime.iso8601></value></member>
			<member><name>b</name><value><base64>aGk=</base64></value></member><member><name>yes</name><value><boolean>1</boolean></value></member><member><name>none</name><value><nil/></value></member>
			<member><name>list</name><value><array><data><value><int>1</int></value><value><array><data/></array></value><value><struct/></value></data></array></value></member>
			</struct></value></param></params></methodResponse></query></iq>`)

	var fault *rpc.Fault
	for i, tt := range []struct {
		payload string
		check   func(any, error) bool
	}{
		{"<methodResponse><params/></methodResponse>", func(v any, err error) bool { return v == nil && err == nil }},
		{"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>23</int></value></member><member><name>faultString</name><value><string>Unknown stock symbol</string></value></member></struct></value></fault></methodResponse>",
			func(v any, err error) bool {
				return v == nil && errors.As(err, &fault) && *fault == rpc.Fault{Code: 23, String: "Unknown stock symbol"}
			}},
		{"<methodResponse><fault><value>x</value></fault></methodResponse>", isAnswer},
		{"<methodResponse><fault/></methodResponse>", isAnswer},
		{"<methodResponse><params><param><value>1</value></param><param><value>2</value></param></params></methodResponse>", isAnswer},
		{"<methodResponse><params><param/></params></methodResponse>", isAnswer},
		{"", isAnswer},
	} {
		id := string(rune('b' + i))
		peer.While(func() {
			if v, err := r.Call(t.Context(), romeo, "m"); !tt.check(v, err) {
				t.Errorf("%s: %v, %v", tt.payload, v, err)
			}
		}, `
			C: <iq to='romeo@example.test/orchard' id='{`+id+`}' type='set'><query xmlns='jabber:iq:rpc'><methodCall><methodName>m</methodName><params/></methodCall></query></iq>
			S: <iq from='romeo@example.test/orchard' id='{`+id+`}' type='result'><query xmlns='jabber:iq:rpc'>`+tt.payload+`</query></iq>`)
	}
	for _, bad := range []any{nil, math.Inf(1), math.NaN(), int64(1) << 40, uint64(1) << 63, make(chan int), map[int]int{1: 1}, func() {}, (*int)(nil), complex(1, 1)} {
		if _, err := r.Call(t.Context(), romeo, "m", bad); !errors.Is(err, rpc.ErrValue) {
			t.Errorf("%T: %v", bad, err)
		}
	}
	loop := []any{nil}
	loop[0] = loop
	if _, err := r.Call(t.Context(), romeo, "m", loop); !errors.Is(err, rpc.ErrValue) {
		t.Errorf("a list that holds itself: %v", err)
	}
}

func isAnswer(_ any, err error) bool { return errors.Is(err, rpc.ErrAnswer) }

// TestTimeout: a call ends after five seconds, and when it is taken back.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, peer := pair(t, rpc.Config{})
		start := time.Now()
		if _, err := r.Call(t.Context(), romeo, "m"); !errors.Is(err, xmpp.ErrIQTimeout) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		time.AfterFunc(time.Second, func() { cancel(enough) })
		if _, err := r.Call(ctx, romeo, "m"); !errors.Is(err, enough) {
			t.Errorf("taken back: %v", err)
		}
		_ = peer
	})
}

// TestRegister: what a method is given and what becomes of what it returns.
func TestRegister(t *testing.T) {
	r, s, peer := pair(t, rpc.Config{Allow: func(from xmpp.JID) bool { return from.Local() == "romeo" }})
	d := disco.New(disco.Config{NoAutoFetch: true})
	if err := d.Activate(s); err != nil {
		t.Fatal(err)
	}
	if own := d.Own(); own.Has(rpc.NS) || len(own.Identities) != 1 {
		t.Errorf("without a method: %+v", own)
	}
	result := func(v any, err error) rpc.Handler {
		return func(context.Context, xmpp.JID, []any) (any, error) { return v, err }
	}
	add := func(name string, h rpc.Handler) func() {
		remove, err := r.Register(rpc.Method{Name: name, Handler: h})
		if err != nil {
			t.Fatal(err)
		}
		return remove
	}
	removes := []func(){
		add("echo", func(ctx context.Context, from xmpp.JID, params []any) (any, error) {
			return []any{rpc.MethodName(ctx), from.String(), params}, nil
		}),
		add("nothing", result(nil, nil)), add("fault", result(nil, fmt.Errorf("so: %w", &rpc.Fault{Code: 7, String: "no"}))),
		add("condition", result(nil, stanza.Conflict)), add("other", result(nil, errors.New("secret"))), add("unwritable", result(make(chan int), nil)),
	}
	own := d.Own()
	if _, ok := own.Identity("automation", "rpc"); !ok || !own.Has(rpc.NS) {
		t.Errorf("with methods: %+v", own)
	}
	call := func(id, from, name string) string {
		return "\nS: <iq from='" + from + "' id='" + id + "' type='set'><query xmlns='jabber:iq:rpc'><methodCall><methodName>" + name + "</methodName><params><param><value><i4>1</i4></value></param></params></methodCall></query></iq>"
	}
	ok := func(id, response string) string {
		return "\nC: <iq to='romeo@example.test/orchard' id='" + id + "' type='result'><query xmlns='jabber:iq:rpc'><methodResponse>" + response + "</methodResponse></query></iq>"
	}
	bad := func(id, to, typ, condition string) string {
		return "\nC: <iq to='" + to + "' id='" + id + "' type='error'><error type='" + typ + "'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	}
	const me, mallory = "romeo@example.test/orchard", "mallory@example.test/x"
	peer.Play(call("1", me, "echo") + ok("1", "<params><param><value><array><data><value><string>echo</string></value><value><string>"+me+"</string></value><value><array><data><value><int>1</int></value></data></array></value></data></array></value></param></params>") +
		call("2", me, "nothing") + ok("2", "<params/>") +
		call("3", me, "fault") + ok("3", "<fault><value><struct><member><name>faultCode</name><value><int>7</int></value></member><member><name>faultString</name><value><string>no</string></value></member></struct></value></fault>") +
		call("4", me, "condition") + bad("4", me, "cancel", "conflict") +
		call("5", me, "other") + bad("5", me, "cancel", "internal-server-error") +
		call("6", me, "unwritable") + bad("6", me, "cancel", "internal-server-error") +
		call("7", me, "unknown") + ok("7", "<fault><value><struct><member><name>faultCode</name><value><int>-32601</int></value></member><member><name>faultString</name><value><string>there is no such method</string></value></member></struct></value></fault>") +
		call("8", me, "bad name!") + bad("8", me, "modify", "bad-request") +
		// ORG-18: a stranger is told nothing.
		call("9", mallory, "echo") + bad("9", mallory, "cancel", "service-unavailable") +
		call("10", mallory, "unknown") + bad("10", mallory, "cancel", "service-unavailable"))
	if _, err := r.Register(rpc.Method{Name: "echo", Handler: result(1, nil)}); !errors.Is(err, xmpp.ErrHandlerExists) {
		t.Errorf("twice: %v", err)
	}
	for _, m := range []rpc.Method{{Name: "x"}, {Name: "a b", Handler: result(1, nil)}, {Name: strings.Repeat("x", 300), Handler: result(1, nil)}} {
		if _, err := r.Register(m); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%q: %v", m.Name, err)
		}
	}
	if _, err := r.Register(rpc.Method{Name: "private", Allow: func(xmpp.JID) bool { return false }, Handler: result(1, nil)}); err != nil {
		t.Fatal(err)
	}
	peer.Play(call("11", me, "private") + bad("11", me, "auth", "forbidden"))
	removes = append(removes, add("", result("any", nil)))
	peer.Play(call("12", me, "whatever") + ok("12", "<params><param><value><string>any</string></value></param></params>"))
	for _, remove := range removes {
		remove()
		remove()
	}
	peer.Play(call("13", me, "echo") + bad("13", me, "cancel", "service-unavailable"))
	r.Deactivate()
	peer.Play(call("14", me, "private") + bad("14", me, "cancel", "service-unavailable"))
	if _, err := r.Call(t.Context(), romeo, "m"); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("not active: %v", err)
	}
}

// TestSec_ORG18: by default nobody but the own account may call.
func TestSec_ORG18(t *testing.T) {
	r, s, peer := pair(t, rpc.Config{})
	if _, err := r.Register(rpc.Method{Name: "m", Handler: func(context.Context, xmpp.JID, []any) (any, error) { return 1, nil }}); err != nil {
		t.Fatal(err)
	}
	call := "<query xmlns='jabber:iq:rpc'><methodCall><methodName>m</methodName></methodCall></query></iq>"
	for _, from := range []string{"romeo@example.test/orchard", "example.test", "juliet@evil.test/x"} {
		peer.Play("S: <iq from='" + from + "' id='1' type='set'>" + call + "\nC: <iq to='" + from + "' id='1' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	}
	for _, from := range []string{" from='" + s.MyJID().Bare().String() + "/other'", ""} {
		to := strings.Replace(from, "from", "to", 1)
		peer.Play("S: <iq" + from + " id='1' type='set'>" + call + "\nC: <iq" + to + " id='1' type='result'>*</iq>")
	}
}

// TestSec_Bounds: what is too deep, too much, or no value at all; a flood of calls; a handler that panics or takes long.
func TestSec_Bounds(t *testing.T) {
	r, _, peer := pair(t, rpc.Config{Allow: func(xmpp.JID) bool { return true }, MaxRunning: 3, MaxRunningOfOne: 2})
	leave := make(chan struct{})
	for name, h := range map[string]rpc.Handler{
		"m":    func(context.Context, xmpp.JID, []any) (any, error) { return 1, nil },
		"slow": func(context.Context, xmpp.JID, []any) (any, error) { <-leave; return 1, nil },
	} {
		if _, err := r.Register(rpc.Method{Name: name, Handler: h}); err != nil {
			t.Fatal(err)
		}
	}
	value := func(v string) string {
		return "<query xmlns='jabber:iq:rpc'><methodCall><methodName>m</methodName><params><param><value>" + v + "</value></param></params></methodCall></query>"
	}
	nest := func(n int) string {
		return strings.Repeat("<array><data><value>", n) + "x" + strings.Repeat("</value></data></array>", n)
	}
	play := func(payload, typ string) {
		t.Helper()
		peer.Play("S: <iq from='a@example.test/x' id='1' type='set'>" + payload + "</iq>\nC: <iq to='a@example.test/x' id='1' type='" + typ + "'>*</iq>")
	}
	play(value(nest(rpc.MaxDepth)), "result")
	play(value("<array><data>"+strings.Repeat("<value/>", rpc.MaxValues-1)+"</data></array>"), "result")
	for _, bad := range []string{
		nest(rpc.MaxDepth + 1), "<array><data>" + strings.Repeat("<value/>", rpc.MaxValues) + "</data></array>", "<int>x</int>", "<int>2147483648</int>", "<int>0x10</int>", "<int/>", "<boolean>true</boolean>",
		"<double>1e999</double>", "<double>NaN</double>", "<double>0x1p4</double>", "<dateTime.iso8601>now</dateTime.iso8601>", "<base64>!</base64>", "<array/>", "<struct><member/></struct>",
		"<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>", "<i8>1</i8>", "<int>1</int><int>2</int>",
	} {
		play(value(bad), "error")
	}
	play("<query xmlns='jabber:iq:rpc'/>", "error")
	play("<query xmlns='jabber:iq:rpc'><methodCall xmlns='urn:x'><methodName>m</methodName></methodCall></query>", "error")

	slow := "<query xmlns='jabber:iq:rpc'><methodCall><methodName>slow</methodName></methodCall></query></iq>"
	busy := func(who, id string) string {
		return "\nC: <iq to='" + who + "@example.test/x' id='" + id + "' type='error'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	}
	send := func(who, id string) string {
		return "\nS: <iq from='" + who + "@example.test/x' id='" + id + "' type='set'>" + slow
	}
	peer.Play(send("a", "1") + send("a", "2") + send("a", "3") + busy("a", "3") + send("b", "4") + send("c", "5") + busy("c", "5"))
	close(leave)
	ids := map[string]bool{}
	for range 3 { // in any order
		if e := peer.Next(); stanza.AttrOr(e, "type", "") == "result" {
			ids[stanza.AttrOr(e, "id", "")] = true
		}
	}
	if len(ids) != 3 || !ids["1"] || !ids["2"] || !ids["4"] {
		t.Errorf("answered: %v", ids)
	}
	play(value("x"), "result")
}

// TestInto puts values into Go types.
func TestInto(t *testing.T) {
	type inner struct {
		N *uint8
		F float64
	}
	var got struct {
		S     string `rpc:"s"`
		B     bool
		T     time.Time
		Data  []byte
		List  []inner
		M     map[string]int
		Any   any
		Other string
	}
	now := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := rpc.Into(map[string]any{"s": "x", "B": true, "T": now, "Data": []byte{1}, "List": []any{map[string]any{"N": 255, "F": 3}}, "M": map[string]any{"a": 1}, "Any": []any{1}, "more": 1}, &got); err != nil {
		t.Fatal(err)
	}
	if got.S != "x" || !got.B || got.T != now || got.Data[0] != 1 || *got.List[0].N != 255 || got.List[0].F != 3 || got.M["a"] != 1 || got.Any.([]any)[0] != 1 {
		t.Errorf("%+v", got)
	}
	for _, tt := range []struct {
		value, to any
		where     string
	}{
		{"x", new(int), "string"}, {1, new(string), "int"}, {300, new(uint8), "uint8"}, {-1, new(uint), "uint"}, {map[string]any{"B": 1}, &got, "B: "}, {[]any{1}, &got, ""}, {1, got, "pointer"},
		{map[string]any{"List": []any{map[string]any{"N": "x"}}}, &got, "List: [0]: N: "}, {map[string]any{"a": "x"}, new(map[string]int), "a: "}, {1.5, new(int), "float64"}, {"x", new(time.Time), "string"}, {map[string]any{}, new(time.Time), "Time"},
	} {
		if err := rpc.Into(tt.value, tt.to); !errors.Is(err, rpc.ErrValue) || !strings.Contains(err.Error(), tt.where) {
			t.Errorf("%v into %T: %v", tt.value, tt.to, err)
		}
	}
}

// TestIntegration calls a method of another client through a real server.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		client := func(cfg rpc.Config) (*rpc.RPC, *xmpp.Stream) {
			r := rpc.New(cfg)
			return r, srv.Client(t, func(s *xmpp.Stream) {
				if err := r.Activate(s); err != nil {
					t.Fatal(err)
				}
			})
		}
		a, _ := client(rpc.Config{})
		var allowed xmpp.JID
		b, sb := client(rpc.Config{Allow: func(from xmpp.JID) bool { return from == allowed }})
		mallory, _ := client(rpc.Config{})
		allowed = a.Stream().MyJID()
		if _, err := b.Register(rpc.Method{Name: "echo", Handler: func(_ context.Context, _ xmpp.JID, p []any) (any, error) { return p, nil }}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		want := []any{"näme <&>", 1, true, -2.25, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), []byte{0, 1, 255}, []any{1, "x"}, map[string]any{"a": map[string]any{"b": 1}}}
		if got, err := a.Call(ctx, sb.MyJID(), "echo", want...); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %#v, %v\nwant %#v", got, err, want)
		}
		if _, err := mallory.Call(ctx, sb.MyJID(), "echo", 1); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("a stranger: %v", err)
		}
	})
}
