package pep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/pep"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines = testkit.Goroutines

// coding is a value, and the payload that it makes; and one that comes of a payload, if that is another.
type coding[T any] struct {
	value T
	xml   string
}

func parse(t *testing.T, xml string) *etree.Element {
	t.Helper()
	d := etree.NewDocument()
	if err := d.ReadFromString(xml); err != nil {
		t.Fatal(err)
	}
	return d.Root()
}

func write(e *etree.Element) string {
	d := etree.NewDocument()
	d.SetRoot(e.Copy())
	s, _ := d.WriteToString()
	return s
}

// bothWays encodes and decodes; it shows values as JSON-like text, so that pointers are followed.
func bothWays[T any](t *testing.T, n pep.Node[T], show func(T) string, list []coding[T]) {
	t.Helper()
	checkGoroutines(t)
	for _, c := range list {
		e, err := n.Encode(c.value)
		if err != nil || write(e) != c.xml {
			t.Errorf("%s: %v, %v; want %s", show(c.value), e, err, c.xml)
			if e != nil {
				t.Log(write(e))
			}
			continue
		}
		if v, err := n.Decode(parse(t, c.xml)); err != nil || show(v) != show(c.value) {
			t.Errorf("%s: %s, %v; want %s", c.xml, show(v), err, show(c.value))
		}
	}
	for _, other := range []*etree.Element{nil, stanza.New("x", n.Node).Element(), stanza.New(parse(t, list[0].xml).Tag, "other").Element()} {
		if v, err := n.Decode(other); !errors.Is(err, pep.ErrPayload) {
			t.Errorf("another payload: %s, %v", show(v), err)
		}
	}
}

func plain[T any](v T) string { return fmt.Sprintf("%+v", v) }

// refuses are values that make no payload.
func refuses[T any](t *testing.T, n pep.Node[T], list ...T) {
	t.Helper()
	for _, v := range list {
		if e, err := n.Encode(v); err == nil {
			t.Errorf("%+v makes %s", v, write(e))
		}
	}
}

// reads are payloads of others, and what is understood of them.
func reads[T any](t *testing.T, n pep.Node[T], show func(T) string, list map[string]T) {
	t.Helper()
	for xml, want := range list {
		if v, err := n.Decode(parse(t, xml)); err != nil || show(v) != show(want) {
			t.Errorf("%s: %s, %v; want %s", xml, show(v), err, show(want))
		}
	}
}

func TestMood(t *testing.T) {
	bothWays(t, pep.Moods(), plain, []coding[pep.Mood]{
		{pep.Mood{}, "<mood xmlns=\"http://jabber.org/protocol/mood\"/>"},
		{pep.Mood{Name: "happy", Text: "Yay & so"}, "<mood xmlns=\"http://jabber.org/protocol/mood\"><happy/><text>Yay &amp; so</text></mood>"},
		{pep.Mood{Text: "hm"}, "<mood xmlns=\"http://jabber.org/protocol/mood\"><text>hm</text></mood>"},
	})
	refuses(t, pep.Moods(), pep.Mood{Name: "very happy"}, pep.Mood{Name: "text"}, pep.Mood{Name: "a:b"}, pep.Mood{Name: "_a"}, pep.Mood{Name: strings.Repeat("a", 65)}, pep.Mood{Name: "é"})
	reads(t, pep.Moods(), plain, map[string]pep.Mood{
		"<mood xmlns='http://jabber.org/protocol/mood'><text>hm</text><in_love/><happy/></mood>":             {Name: "in_love", Text: "hm"},
		"<mood xmlns='http://jabber.org/protocol/mood'><x xmlns='other'/><text xmlns='o'>a</text></mood>":    {},
		"<mood xmlns='http://jabber.org/protocol/mood'><text>" + strings.Repeat("é", 600) + "</text></mood>": {Text: strings.Repeat("é", 512)},
	})
}

func TestActivity(t *testing.T) {
	bothWays(t, pep.Activities(), plain, []coding[pep.Activity]{
		{pep.Activity{}, "<activity xmlns=\"http://jabber.org/protocol/activity\"/>"},
		{pep.Activity{General: "relaxing", Specific: "partying", Text: "My birthday!"}, "<activity xmlns=\"http://jabber.org/protocol/activity\"><relaxing><partying/></relaxing><text>My birthday!</text></activity>"},
		{pep.Activity{General: "working"}, "<activity xmlns=\"http://jabber.org/protocol/activity\"><working/></activity>"},
	})
	refuses(t, pep.Activities(), pep.Activity{Specific: "partying"}, pep.Activity{General: "Working"}, pep.Activity{General: "working", Specific: "<x/>"}, pep.Activity{General: "text"})
	reads(t, pep.Activities(), plain, map[string]pep.Activity{
		"<activity xmlns='http://jabber.org/protocol/activity'><text>a</text><doing_chores><x xmlns='o'/><Y/><cooking/></doing_chores></activity>": {General: "doing_chores", Specific: "cooking", Text: "a"},
	})
}

func TestTune(t *testing.T) {
	bothWays(t, pep.Tunes(), plain, []coding[pep.Tune]{
		{pep.Tune{}, "<tune xmlns=\"http://jabber.org/protocol/tune\"/>"},
		{pep.Tune{Artist: "Yes", Title: "Heart of the Sunrise", Length: 686 * time.Second, Rating: 8, Source: "Yessongs", Track: "3", URI: "http://example.org/yes#s"},
			"<tune xmlns=\"http://jabber.org/protocol/tune\"><artist>Yes</artist><length>686</length><rating>8</rating><source>Yessongs</source><title>Heart of the Sunrise</title><track>3</track><uri>http://example.org/yes#s</uri></tune>"},
	})
	e, err := pep.Tunes().Encode(pep.Tune{Length: 100 * time.Hour, Rating: 11})
	if got := stanza.ChildText(e, "length", pep.NSTune) + stanza.ChildText(e, "rating", pep.NSTune); got != "6553510" || err != nil {
		t.Error(got, err)
	}
	reads(t, pep.Tunes(), plain, map[string]pep.Tune{
		"<tune xmlns='http://jabber.org/protocol/tune'><length>-1</length><rating>11</rating><title>a</title></tune>":  {Title: "a"},
		"<tune xmlns='http://jabber.org/protocol/tune'><length>99999999999999999999</length><rating>0</rating></tune>": {},
	})
}

func TestLocation(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	show := func(l pep.Location) (s string) {
		for _, v := range []*float64{l.Lat, l.Lon, l.Accuracy, l.Alt, l.AltAccuracy, l.Bearing, l.Speed} {
			if v == nil {
				s += "-;"
			} else {
				s += fmt.Sprint(*v, ";")
			}
		}
		return s + fmt.Sprint(l.Timestamp, l.TZO, l.Area, l.Building, l.Country, l.CountryCode, l.Datum, l.Description, l.Floor, l.Locality, l.PostalCode, l.Region, l.Room, l.Street, l.Text, l.URI)
	}
	bothWays(t, pep.Locations(), show, []coding[pep.Location]{
		{pep.Location{}, "<geoloc xmlns=\"http://jabber.org/protocol/geoloc\"/>"},
		{pep.Location{Lat: f(45.44), Lon: f(12.33), Accuracy: f(20), Alt: f(-3.5), Bearing: f(0), Country: "Italy", Locality: "Venice", TZO: "+01:00", Timestamp: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)},
			"<geoloc xmlns=\"http://jabber.org/protocol/geoloc\"><accuracy>20</accuracy><alt>-3.5</alt><bearing>0</bearing><lat>45.44</lat><lon>12.33</lon><country>Italy</country><locality>Venice</locality><tzo>+01:00</tzo><timestamp>2026-02-03T04:05:06.000Z</timestamp></geoloc>"},
	})
	refuses(t, pep.Locations(), pep.Location{Lat: f(91)}, pep.Location{Lon: f(-181)}, pep.Location{Alt: f(math.NaN())}, pep.Location{Speed: f(math.Inf(1))}, pep.Location{Accuracy: f(-1)})
	reads(t, pep.Locations(), show, map[string]pep.Location{
		"<geoloc xmlns='http://jabber.org/protocol/geoloc'><lat>91</lat><lon>NaN</lon><alt>inf</alt><speed>fast</speed><accuracy>1e400</accuracy><timestamp>yesterday</timestamp><room>7</room></geoloc>": {Room: "7"},
	})
}

// TestNode: the value is one item, asked for as the last one.
func TestNode(t *testing.T) {
	checkGoroutines(t)
	p := pubsub.New(pubsub.Config{})
	_, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	romeo := xmpp.MustParseJID("romeo@example.test")
	get := func(want pep.Mood, ok bool, wantErr error) func() {
		return func() {
			if m, have, err := pep.Moods().Get(t.Context(), p, romeo); m != want || have != ok || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Error(m, have, err)
			}
		}
	}
	answer := func(id, items string) string {
		return `
			C: <iq to='romeo@example.test' id='{` + id + `}' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/mood' max_items='1'/></pubsub></iq>
			S: <iq from='romeo@example.test' id='{` + id + `}' type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/mood'>` + items + `</items></pubsub></iq>`
	}
	publish := func(id, mood string) string {
		return `
			C: <iq id='{` + id + `}' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/mood'><item id='current'>` + mood + `</item></publish></pubsub></iq>
			S: <iq id='{` + id + `}' type='result'/>`
	}
	peer.While(func() {
		if err := errors.Join(pep.Moods().Set(t.Context(), p, pep.Mood{Name: "sad"}), pep.Moods().Clear(t.Context(), p)); err != nil {
			t.Error(err)
		}
	}, publish("a", "<mood xmlns='http://jabber.org/protocol/mood'><sad/></mood>")+publish("b", "<mood xmlns='http://jabber.org/protocol/mood'/>"))
	peer.While(get(pep.Mood{Name: "sad"}, true, nil), answer("c", "<item id='x'><mood xmlns='http://jabber.org/protocol/mood'><sad/></mood></item>"))
	peer.While(get(pep.Mood{}, false, nil), answer("d", ""))
	peer.While(get(pep.Mood{}, false, pep.ErrPayload), answer("e", "<item><x xmlns='y'/></item>"))
	if err := pep.Moods().Set(t.Context(), p, pep.Mood{Name: "A"}); err == nil {
		t.Error("what is no name is sent")
	}
}

// TestIntegrationPEP: each node is published, read back, and cleared, on real servers.
func TestIntegrationPEP(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		p := pubsub.New(pubsub.Config{})
		srv.Client(t, func(s *xmpp.Stream) {
			if err := p.Activate(s); err != nil {
				t.Fatal(err)
			}
		})
		lat := 45.44
		mood, activity := pep.Mood{Name: "happy", Text: "Yay"}, pep.Activity{General: "relaxing", Specific: "partying"}
		tune := pep.Tune{Artist: "Yes", Title: "Heart of the Sunrise", Length: 686 * time.Second}
		if err := errors.Join(pep.Moods().Set(ctx, p, mood), pep.Activities().Set(ctx, p, activity), pep.Tunes().Set(ctx, p, tune),
			pep.Locations().Set(ctx, p, pep.Location{Lat: &lat, Locality: "Venice"})); err != nil {
			t.Fatal(err)
		}
		if m, ok, err := pep.Moods().Get(ctx, p, xmpp.JID{}); m != mood || !ok || err != nil {
			t.Error(m, ok, err)
		}
		if a, ok, err := pep.Activities().Get(ctx, p, xmpp.JID{}); a != activity || !ok || err != nil {
			t.Error(a, ok, err)
		}
		if x, ok, err := pep.Tunes().Get(ctx, p, xmpp.JID{}); x != tune || !ok || err != nil {
			t.Error(x, ok, err)
		}
		if l, ok, err := pep.Locations().Get(ctx, p, xmpp.JID{}); !ok || err != nil || l.Lat == nil || *l.Lat != lat || l.Locality != "Venice" {
			t.Error(l, ok, err)
		}
		if err := pep.Tunes().Clear(ctx, p); err != nil {
			t.Error(err)
		}
		if x, ok, err := pep.Tunes().Get(ctx, p, xmpp.JID{}); x != (pep.Tune{}) || !ok || err != nil {
			t.Error(x, ok, err)
		}
	})
}
