package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// TestAllItems is XEP-0060 section 6.5.4: a page is asked for when the loop comes to it.
func TestAllItems(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	read := func(r rsm.Request, most int, want string, wantErr error) func() {
		return func() {
			t.Helper()
			var got []string
			var last error
			for i, err := range p.AllItems(t.Context(), svc, "n", r) {
				if last = err; err != nil {
					break
				}
				if got = append(got, i.ID); len(got) == most {
					break
				}
			}
			if strings.Join(got, " ") != want || !errors.Is(last, wantErr) || (last == nil) != (wantErr == nil) {
				t.Errorf("%v, %v; want %s, %v", got, last, want, wantErr)
			}
		}
	}
	ask := func(id, set string) string {
		return "\nC: <iq to='pubsub.example.test' id='{" + id + "}' type='get'>" + inPubSub("<items node='n'/>"+set) + "</iq>"
	}
	answer := func(id, items string) string {
		return "\nS: <iq from='pubsub.example.test' id='{" + id + "}' type='result'>" + inPubSub(items) + "</iq>"
	}
	set := func(s string) string { return "<set xmlns='http://jabber.org/protocol/rsm'>" + s + "</set>" }
	items := func(ids ...string) string {
		s := "<items node='n'>"
		for _, id := range ids {
			s += "<item id='" + id + "'/>"
		}
		return s + "</items>"
	}
	first := func(id string) string {
		return ask(id, set("<max>2</max>")) + answer(id, items("1", "2")+set("<first index='0'>1</first><last>2</last><count>3</count>"))
	}
	peer.While(read(rsm.Request{Max: 2}, 0, "1 2 3", nil), first("a")+
		ask("b", set("<max>2</max><after>2</after>"))+answer("b", items("3")+set("<first>3</first><last>3</last><count>3</count>"))+
		ask("c", set("<max>2</max><after>3</after>"))+answer("c", items()+set("<count>3</count>")))
	// Nothing is asked beyond what is read.
	peer.While(read(rsm.Request{Max: 2}, 2, "1 2", nil), first("a2"))
	peer.While(read(rsm.Request{Max: 2, Last: true}, 0, "3 2", nil), ask("d", set("<max>2</max><before/>"))+answer("d", items("2", "3")+set("<first>2</first><last>3</last>"))+
		ask("e", set("<max>2</max><before>2</before>"))+answer("e", items()+set("")))
	// A service that knows no pages, one that gives the same page for ever, one that refuses, one that gives another node.
	peer.While(read(rsm.Request{Max: 2}, 0, "1 2 3", nil), ask("f", set("<max>2</max>"))+answer("f", items("1", "2", "3")))
	peer.While(read(rsm.Request{Max: 2}, 0, "1 2 1 2", rsm.ErrLoop), first("a3")+ask("g", set("<max>2</max><after>2</after>"))+answer("g", items("1", "2")+set("<first>1</first><last>2</last>")))
	peer.While(read(rsm.Request{}, 0, "", pubsub.NotSubscribed), ask("h", "")+"\nS: <iq from='pubsub.example.test' id='{h}' type='error'>"+refusal("auth", "not-authorized", "not-subscribed")+"</iq>")
	peer.While(read(rsm.Request{}, 0, "", pubsub.ErrAnswer), ask("i", "")+answer("i", "<items node='m'/>"))
	peer.While(read(rsm.Request{}, 0, "", pubsub.ErrAnswer), ask("j", "")+answer("j", items("1")+set("")+set("")))
	read(rsm.Request{Max: -1}, 0, "", rsm.ErrMalformed)()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range p.AllItems(ctx, svc, "n", rsm.Request{}) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestPublishAll: items go without waiting, in order; the first alone; and a refusal ends it.
func TestPublishAll(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	list := func(n int) (out []pubsub.Item) {
		for i := range n {
			out = append(out, pubsub.Item{ID: fmt.Sprint(i)})
		}
		return out
	}
	publish := func(n int, o *pubsub.PublishOptions, want string, wantErr error) func() {
		return func() {
			t.Helper()
			got, err := p.PublishAll(t.Context(), pep, "n", list(n), o)
			if strings.Join(got, " ") != want || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Errorf("%v, %v; want %s, %v", got, err, want, wantErr)
			}
		}
	}
	request := func(id string, n int, options string) string {
		return fmt.Sprintf("\nC: <iq id='{%s%d}' type='set'>%s</iq>", id, n, inPubSub(fmt.Sprintf("<publish node='n'><item id='%d'/></publish>%s", n, options)))
	}
	fine := func(id string, n int) string { return fmt.Sprintf("\nS: <iq id='{%s%d}' type='result'/>", id, n) }
	publish(0, nil, "", nil)()
	peer.While(publish(1, nil, "0", nil), request("a", 0, "")+fine("a", 0))
	peer.While(publish(4, nil, "0 1 made 3", nil), request("b", 0, "")+fine("b", 0)+request("b", 1, "")+request("b", 2, "")+request("b", 3, "")+
		fine("b", 3)+"\nS: <iq id='{b2}' type='result'>"+inPubSub("<publish node='n'><item id='made'/></publish>")+"</iq>"+fine("b", 1))
	// The first is refused: nothing follows.
	peer.While(publish(3, nil, "", pubsub.PayloadRequired), request("c", 0, "")+"\nS: <iq id='{c0}' type='error'>"+refusal("modify", "bad-request", "payload-required")+"</iq>")
	peer.While(publish(4, nil, "0 1", pubsub.MaxItemsExceeded), request("d", 0, "")+fine("d", 0)+request("d", 1, "")+request("d", 2, "")+request("d", 3, "")+
		fine("d", 1)+"\nS: <iq id='{d2}' type='error'>"+refusal("cancel", "not-allowed", "max-items-exceeded")+"</iq>"+fine("d", 3))
	// Options go with each.
	o := pubsub.PublicOptions()
	peer.While(publish(2, o, "0 1", nil), info+request("e", 0, options)+fine("e", 0)+request("e", 1, options)+fine("e", 1))
	// More than are sent ahead, and a refusal in the middle of them.
	long := request("f", 0, "") + fine("f", 0)
	for n := 1; n <= 32; n++ {
		long += request("f", n, "")
	}
	peer.While(func() {
		got, err := p.PublishAll(t.Context(), pep, "n", list(100), nil)
		if len(got) != 1 || !errors.Is(err, stanza.Forbidden) {
			t.Error(len(got), err)
		}
	}, long+"\nS: <iq id='{f1}' type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"+func() (s string) {
		for n := 2; n <= 32; n++ {
			s += fine("f", n)
		}
		return s
	}())
}

// reading is a payload of an application.
type reading struct{ Celsius float64 }

const readingNS = "urn:example:reading"

var errHot = errors.New("too hot")

var readings = pubsub.Typed[reading]{
	Node: readingNS,
	Encode: func(r reading) (*etree.Element, error) {
		if r.Celsius > 100 {
			return nil, errHot
		}
		return stanza.New("reading", readingNS).A("celsius", fmt.Sprint(r.Celsius)).Element(), nil
	},
	Decode: func(e *etree.Element) (r reading, err error) {
		_, err = fmt.Sscan(stanza.AttrOr(e, "celsius", ""), &r.Celsius)
		return r, err
	},
}

// TestTyped: values go out and come in; one that cannot be read keeps nobody from reading the others.
func TestTyped(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	items := "<items node='" + readingNS + "'><item id='1'><reading xmlns='" + readingNS + "' celsius='21.5'/></item><item id='2'><x xmlns='other'/></item><item id='3'/><item id='4'><reading xmlns='" + readingNS + "' celsius='7'/></item></items>"
	check := func(what string, values []pubsub.Value[reading], err error) {
		t.Helper()
		got := ""
		for _, v := range values {
			got += fmt.Sprint(v.ID, "=", v.Value.Celsius, " ", v.Err == nil, ";")
		}
		if err != nil || got != "1=21.5 true;2=0 false;3=0 false;4=7 true;" {
			t.Errorf("%s: %s, %v", what, got, err)
		}
	}
	peer.While(func() {
		if id, err := readings.Publish(t.Context(), p, svc, "1", reading{21.5}); id != "1" || err != nil {
			t.Error(id, err)
		}
		values, err := readings.Items(t.Context(), p, svc, &pubsub.ItemsOptions{Max: 4})
		check("items", values, err)
		values = nil
		for v, err := range readings.All(t.Context(), p, svc, rsm.Request{}) {
			if err != nil {
				t.Error(err)
			}
			values = append(values, v)
		}
		check("all", values, nil)
		for range readings.All(t.Context(), p, svc, rsm.Request{}) {
			break
		}
		for v, err := range readings.All(t.Context(), p, svc, rsm.Request{}) {
			if !errors.Is(err, stanza.ItemNotFound) || v.ID != "" {
				t.Error(v, err)
			}
		}
	}, `
		C: <iq to='pubsub.example.test' id='{a}' type='set'>`+inPubSub("<publish node='"+readingNS+"'><item id='1'><reading xmlns='"+readingNS+"' celsius='21.5'/></item></publish>")+`</iq>
		S: <iq from='pubsub.example.test' id='{a}' type='result'/>
		C: <iq to='pubsub.example.test' id='{b}' type='get'>`+inPubSub("<items node='"+readingNS+"' max_items='4'/>")+`</iq>
		S: <iq from='pubsub.example.test' id='{b}' type='result'>`+inPubSub(items)+`</iq>
		C: <iq to='pubsub.example.test' id='{c}' type='get'>`+inPubSub("<items node='"+readingNS+"'/>")+`</iq>
		S: <iq from='pubsub.example.test' id='{c}' type='result'>`+inPubSub(items)+`</iq>
		C: <iq to='pubsub.example.test' id='{d}' type='get'>*</iq>
		S: <iq from='pubsub.example.test' id='{d}' type='result'>`+inPubSub(items)+`</iq>
		C: <iq to='pubsub.example.test' id='{e}' type='get'>*</iq>
		S: <iq from='pubsub.example.test' id='{e}' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	heard := make(chan pubsub.Change[reading], 1)
	stop := readings.Notify(p, nil, func(_ context.Context, _ *pubsub.PubSub, c pubsub.Change[reading]) { heard <- c })
	peer.Inject(event("romeo@example.test", items))
	select {
	case c := <-heard:
		check("event", c.Values, nil)
		if c.Service != romeo || len(c.Event.Items) != 4 {
			t.Error(c.Event)
		}
	case <-time.After(5 * time.Second):
		t.Error("no event")
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := readings.Publish(t.Context(), p, svc, "1", reading{1000}); !errors.Is(err, errHot) {
		t.Error(err)
	}
	none := pubsub.Typed[int]{Node: "n"}
	if _, err := none.Publish(t.Context(), p, xmpp.JID{}, "", 1); err == nil {
		t.Error("published without Encode")
	}
	if c := none.Change(pubsub.Event{Items: []pubsub.Item{{ID: "1"}}}); len(c.Values) != 1 || c.Values[0].Err == nil {
		t.Error(c)
	}
}
