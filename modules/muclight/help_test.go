package muclight_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var (
	service = xmpp.MustParseJID("muclight.test")
	coven   = xmpp.MustParseJID("coven@muclight.test")
	hag     = xmpp.MustParseJID("hag@example.test")
	crone   = xmpp.MustParseJID("crone@example.test")
	juliet  = xmpp.MustParseJID("juliet@example.test")
)

var checkGoroutines, must = testkit.Goroutines, testkit.Must

// ear writes down what delegates hear.
type ear struct {
	m     *muclight.MUCLight
	s     *xmpp.Stream
	queue *xmpp.Queue
	mu    sync.Mutex
	list  []string
}

// act is a stream with the module, and its server's end.
func act(t testing.TB, cfg muclight.Config) (*ear, *xmpptest.Peer) {
	t.Helper()
	e := &ear{m: muclight.New(cfg), queue: xmpp.NewQueue()}
	e.m.AddDelegate(e.delegate(), e.queue)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, e.m.Activate(s)) })
	e.s = s
	return e, peer
}

func (e *ear) delegate() muclight.Delegate {
	return muclight.Delegate{Message: e, Failure: e, Affiliation: e, Configuration: e, Own: e, Discovery: e, Storage: e}
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// take returns and forgets what was heard so far, when the queue is empty.
func (e *ear) take(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(t, e.queue.Flush(ctx))
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "\n")
	e.list = nil
	return s
}

func (e *ear) want(t testing.TB, what string, lines ...string) {
	t.Helper()
	if got, want := e.take(t), strings.Join(lines, "\n"); got != want {
		t.Errorf("%s: heard\n%s\nwant\n%s", what, got, want)
	}
}

// inject sends the stanzas, waits until they were received, and returns what delegates heard.
func (e *ear) inject(t testing.TB, peer *xmpptest.Peer, xml string) string {
	t.Helper()
	if xml != "" {
		peer.Play("S: " + xml)
	}
	peer.Play("S: <iq type='get' id='sync' from='example.test'><none xmlns='urn:none'/></iq>\nC: <iq type='error' id='sync' to='example.test'>*</iq>")
	return e.take(t)
}

func show(list []muclight.Member) string {
	var out []string
	for _, u := range list {
		out = append(out, u.JID.Local()+"="+u.Affiliation.String())
	}
	return strings.Join(out, " ")
}

func fields(c muclight.Configuration) string {
	var out []string
	for _, f := range c {
		out = append(out, f.Name+"="+f.Value)
	}
	return strings.Join(out, " ")
}

func (e *ear) RoomLightDidReceiveMessage(_ context.Context, r *muclight.Room, m *muclight.Message) {
	s := fmt.Sprintf("%s: %s: %s", r.JID().Local(), m.Sender, m.Body)
	if m.Own {
		s += " own"
	}
	if m.StanzaID != "" {
		s += " sid"
	}
	e.note("%s", s)
}

func (e *ear) RoomLightDidNotSendMessage(_ context.Context, r *muclight.Room, id string, err *stanza.Error) {
	e.note("%s: not sent %s: %s", r.JID().Local(), id, err.Condition)
}

func change(c muclight.AffiliationChange) string {
	s := fmt.Sprintf("[%s] own=%s %q>%q", show(c.Members), c.Own, c.PrevVersion, c.Version)
	if c.New {
		s += " new"
	}
	if c.Destroyed {
		s += " destroyed"
	}
	return s
}

func (e *ear) RoomLightDidChangeAffiliations(_ context.Context, r *muclight.Room, c muclight.AffiliationChange) {
	e.note("%s: %s", r.JID().Local(), change(c))
}

func (e *ear) RoomLightDidChangeConfiguration(_ context.Context, r *muclight.Room, c muclight.ConfigurationChange) {
	e.note("%s: {%s} %q>%q", r.JID().Local(), fields(c.Changed), c.PrevVersion, c.Version)
}

func (e *ear) MUCLightDidChangeAffiliation(_ context.Context, r *muclight.Room, c muclight.AffiliationChange) {
	e.note("own in %s: %s", r.JID().Local(), change(c))
}

func (e *ear) RoomLightWasDestroyed(_ context.Context, r *muclight.Room) {
	e.note("%s was destroyed", r.JID().Local())
}

func (e *ear) MUCLightDidDiscoverRooms(_ context.Context, _ *muclight.MUCLight, service xmpp.JID, rooms []muclight.Item) {
	e.note("%d rooms at %s", len(rooms), service)
}

func (e *ear) MUCLightDidNotDiscoverRooms(_ context.Context, _ *muclight.MUCLight, service xmpp.JID, err error) {
	e.note("no rooms at %s: %v", service, err)
}

func (e *ear) MUCLightDidFailToStore(_ context.Context, _ *muclight.MUCLight, err *muc.StorageError) {
	e.note("not stored: %v", err)
}

func rooms(m *muclight.MUCLight) string {
	var out []string
	for r := range m.Rooms() {
		out = append(out, r.JID().Local())
	}
	return strings.Join(out, " ")
}

const (
	affNS  = "xmlns='urn:xmpp:muclight:0#affiliations'"
	confNS = "xmlns='urn:xmpp:muclight:0#configuration'"
	infoNS = "xmlns='urn:xmpp:muclight:0#info'"
)

// user is an item of a list of members.
func user(jid xmpp.JID, affiliation string) string {
	return "<user affiliation='" + affiliation + "'>" + jid.String() + "</user>"
}

// versions are two elements; empty ones are left out.
func versions(prev, version string) (s string) {
	if prev != "" {
		s += "<prev-version>" + prev + "</prev-version>"
	}
	if version != "" {
		s += "<version>" + version + "</version>"
	}
	return s
}

// told is what the room says to all.
func told(ns, content string) string { return toldBy("coven@muclight.test", ns, content) }

func toldBy(from, ns, content string) string {
	return "<message from='" + from + "' to='juliet@example.test' type='groupchat' id='n1'><x " + ns + ">" + content + "</x><body/></message>"
}

var questions int

// asks is a request, and what follows it: in both, {id} is that of the request.
func asks(typ, to, query string, follows ...string) string {
	questions++
	t := "C: <iq type='" + typ + "' id='{id}' to='" + to + "'>" + query + "</iq>\n" + strings.Join(follows, "\n")
	return strings.ReplaceAll(t, "{id}", fmt.Sprintf("{q%d}", questions))
}

func result(from, payload string) string {
	return "S: <iq type='result' id='{id}' from='" + from + "' to='{jid}'>" + payload + "</iq>"
}

func failure(from, condition string) string {
	return "S: <iq type='error' id='{id}' from='" + from + "' to='{jid}'><error type='cancel'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
}
