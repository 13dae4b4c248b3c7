package entitytime_test

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/entitytime"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg entitytime.Config) (*entitytime.EntityTime, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	m := entitytime.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return m, s, peer
}

const refused = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// at is a clock that stands still.
func at(hours float64, layout string) func() time.Time {
	return func() time.Time {
		u, err := time.Parse(time.RFC3339, layout)
		if err != nil {
			panic(err)
		}
		return u.In(time.FixedZone("", int(hours*60*60)))
	}
}

// TestAnswer is XEP-0202 section 3: UTC and the offset, to those who ask by get.
func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		cfg    entitytime.Config
		answer string
	}{
		{entitytime.Config{Clock: at(-6, "2006-12-19T17:58:35Z")}, "<tzo>-06:00</tzo><utc>2006-12-19T17:58:35.000Z</utc>"},
		{entitytime.Config{Clock: at(5.75, "2006-12-19T17:58:35.5Z")}, "<tzo>+05:45</tzo><utc>2006-12-19T17:58:35.500Z</utc>"},
		{entitytime.Config{Clock: at(0, "2006-12-19T17:58:35Z")}, "<tzo>Z</tzo><utc>2006-12-19T17:58:35.000Z</utc>"},
		{entitytime.Config{Clock: at(-6, "2006-12-19T17:58:35Z"), HideOffset: true}, "<tzo>Z</tzo><utc>2006-12-19T17:58:35.000Z</utc>"},
		{entitytime.Config{NoAnswer: true}, ""},
		{entitytime.Config{Allow: func(xmpp.JID) bool { return false }}, ""},
		{entitytime.Config{Allow: func(j xmpp.JID) bool { return j.Local() == "romeo" }, Clock: at(0, "2006-12-19T17:58:35Z")}, "<tzo>Z</tzo><utc>2006-12-19T17:58:35.000Z</utc>"},
	} {
		tt.cfg.Interval = -1
		m, _, peer := pair(t, tt.cfg)
		want := "type='error'>" + refused
		if tt.answer != "" {
			want = "type='result'><time xmlns='urn:xmpp:time'>" + tt.answer + "</time>"
		}
		peer.Play(`
			S: <iq from='romeo@example.test/orchard' id='t1' type='get'><time xmlns='urn:xmpp:time'/></iq>
			C: <iq to='romeo@example.test/orchard' id='t1' ` + want + `</iq>
			S: <iq from='romeo@example.test/orchard' id='t2' type='set'><time xmlns='urn:xmpp:time'/></iq>
			C: <iq to='romeo@example.test/orchard' id='t2' type='error'>` + refused + `</iq>`)
		if features := strings.Join(m.Features(), " "); (features == "urn:xmpp:time") == tt.cfg.NoAnswer {
			t.Errorf("NoAnswer %v: features %q", tt.cfg.NoAnswer, features)
		}
		m.Deactivate()
		peer.Play(`
			S: <iq from='romeo@example.test/orchard' id='t3' type='get'><time xmlns='urn:xmpp:time'/></iq>
			C: <iq to='romeo@example.test/orchard' id='t3' type='error'>` + refused + `</iq>`)
	}
}

// TestQuery reads an answer: its date, offset, round trip and difference (TIME-01). The answer takes 300 ms.
func TestQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, peer := pair(t, entitytime.Config{Interval: -1, Clock: func() time.Time { return time.Now().Add(time.Hour) }})
		for who, to := range map[string]xmpp.JID{"romeo@example.test/orchard": xmpp.MustParseJID("romeo@example.test/orchard"), "example.test": {}} {
			peer.While(func() {
				start := time.Now()
				r, err := m.Query(t.Context(), to)
				if err != nil {
					t.Fatal(err)
				}
				if r.RTT != 300*time.Millisecond || r.Offset != -6*time.Hour {
					t.Errorf("RTT %v, offset %v", r.RTT, r.Offset)
				}
				if want := time.Date(2006, 12, 19, 17, 58, 35, 0, time.UTC); !r.UTC.Equal(want) || r.UTC.Location() != time.UTC {
					t.Errorf("UTC %v, want %v", r.UTC, want)
				}
				if got, want := r.Local().Format(time.RFC3339), "2006-12-19T11:58:35-06:00"; got != want {
					t.Errorf("Local %s, want %s", got, want)
				}
				if want := r.UTC.Sub(start.Add(time.Hour + 150*time.Millisecond)); r.Difference != want {
					t.Errorf("difference %v, want %v", r.Difference, want)
				}
			}, `
				C: <iq to='`+who+`' id='{`+who[:1]+`}' type='get'><time xmlns='urn:xmpp:time'/></iq>
				S!wait 300ms
				S: <iq from='`+who+`' id='{`+who[:1]+`}' type='result'><time xmlns='urn:xmpp:time'><utc>2006-12-19T17:58:35Z</utc><tzo>-06:00</tzo></time></iq>`)
		}
		if _, known := m.Difference(); known {
			t.Error("a query alone has set the difference")
		}
	})
}

// TestSec_DAT01: times from others are refused or borne.
func TestSec_DAT01(t *testing.T) {
	m, _, peer := pair(t, entitytime.Config{Interval: -1})
	query := func(payload string) (r entitytime.Reading, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r, err = m.Calibrate(t.Context())
		}()
		id := peer.Next().SelectAttrValue("id", "")
		peer.Inject("<iq from='example.test' id='" + id + "' type='result'>" + payload + "</iq>")
		<-done
		return r, err
	}
	times := func(tzo, utc string) string {
		return "<time xmlns='urn:xmpp:time'><tzo>" + tzo + "</tzo><utc>" + utc + "</utc></time>"
	}
	const good = "2026-01-01T00:00:00Z"
	for _, payload := range []string{
		"", "<time xmlns='urn:x'><tzo>Z</tzo><utc>" + good + "</utc></time>", "<time xmlns='urn:xmpp:time'/>",
		"<time xmlns='urn:xmpp:time'><tzo>Z</tzo></time>", "<time xmlns='urn:xmpp:time'><utc>" + good + "</utc></time>",
		"<time xmlns='urn:xmpp:time'><tzo xmlns='urn:x'>Z</tzo><utc>" + good + "</utc></time>",
		times("Z", "10000-01-01T00:00:00Z"), times("Z", "-001-01-01T00:00:00Z"), times("Z", "2026-01-01T00:00:00"), times("Z", "20260101T00:00:00"), times("Z", ""),
		times("99:99", good), times("+99:99", good), times("+0600", good), times("-14:01", good), times("", good), times("Europe/Verona", good),
		times("Z", "2026-01-01T00:00:00."+strings.Repeat("9", 40)), times("Z", "2026-01-01T25:00:00Z"),
	} {
		if r, err := query(payload); !errors.Is(err, entitytime.ErrAnswer) || r != (entitytime.Reading{}) {
			t.Errorf("%s: %+v, %v", payload, r, err)
		}
	}
	if _, known := m.Difference(); known {
		t.Error("a difference out of nonsense")
	}
	for utc, want := range map[string]time.Duration{"0000-01-01T00:00:00Z": math.MinInt64, "9999-12-31T23:59:60Z": math.MaxInt64} {
		r, err := query(times("+14:00", utc))
		if d, known := m.Difference(); err != nil || r.Difference != want || d != want || !known {
			t.Errorf("%s: %+v, %v, %v", utc, r, err, d)
		}
		_, _ = m.Now(), r.Local()
		if _, err := r.Local().MarshalJSON(); err != nil && r.UTC.Year() < 9999 {
			t.Errorf("%s: %v", utc, err)
		}
	}
	if r, err := query(times("-00:00", "2026-01-01T24:00:00."+strings.Repeat("0", 40)+"Z")); err != nil || r.UTC.Day() != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestErrors(t *testing.T) {
	m, s, peer := pair(t, entitytime.Config{Interval: -1})
	peer.While(func() {
		if _, err := m.Query(t.Context(), xmpp.MustParseJID("romeo@example.test/x")); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("refused: %v", err)
		}
	}, `
		C: <iq to='romeo@example.test/x' id='{a}' type='get'><time xmlns='urn:xmpp:time'/></iq>
		S: <iq from='romeo@example.test/x' id='{a}' type='error'>`+refused+`</iq>`)
	s.Disconnect()
	if _, err := m.Calibrate(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) && !errors.As(err, new(*xmpp.DisconnectedError)) {
		t.Errorf("disconnected: %v", err)
	}
	m.Deactivate()
	for _, f := range []func() error{
		func() error { _, err := m.Query(t.Context(), xmpp.JID{}); return err },
		func() error { _, err := m.Calibrate(t.Context()); return err },
	} {
		if err := f(); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not active: %v", err)
		}
	}
}

func TestModule(t *testing.T) {
	m := entitytime.New(entitytime.Config{})
	if m.Name() != "entitytime" {
		t.Error(m.Name())
	}
	var _ xmpp.FeatureProvider = m
	xmpptest.CheckDelegate(t, m)
	xmpptest.CheckDelegate(t, new(heard), (*entitytime.Delegate)(nil))
	s, _ := xmpptest.Pair(t)
	if _, err := s.HandleIQ(stanza.Get, entitytime.NS, "time", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {}); err != nil {
		t.Fatal(err)
	}
	if err := m.Activate(s); !errors.Is(err, xmpp.ErrHandlerExists) || m.Stream() != nil {
		t.Errorf("with a handler before it: %v", err)
	}
}
