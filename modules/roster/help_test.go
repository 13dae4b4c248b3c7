package roster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// What servers may be able to do.
const (
	versioning  = "urn:xmpp:features:rosterver"
	preApproval = "urn:xmpp:features:pre-approval"
)

// serve is a server that can do nothing but this.
func serve(t testing.TB, can ...string) *xmpptest.Server {
	t.Helper()
	without := slices.DeleteFunc([]string{versioning, preApproval}, func(f string) bool { return slices.Contains(can, f) })
	return xmpptest.NewServer(t, xmpptest.WithTimeout(time.Hour), xmpptest.Without(without...))
}

var checkGoroutines, must = testkit.Goroutines, testkit.Must

// events are what delegates heard, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// take returns and forgets them, sorted where sort says so.
func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "; ")
	e.list = nil
	return s
}

func (e *events) want(t testing.TB, what, want string) {
	t.Helper()
	if got := e.take(); got != want {
		t.Errorf("%s:\nheard %q\nwant  %q", what, got, want)
	}
}

// show writes a contact down: its address, name, groups, state, and what else there is.
func show(c roster.Contact) string {
	if c.IsZero() {
		return "nobody"
	}
	s := c.JID().Local()
	if s == "" {
		s = c.JID().String()
	}
	if c.Name() != "" {
		s += "=" + c.Name()
	}
	for g := range c.Groups() {
		s += "#" + g
	}
	s += " " + c.State().String()
	if c.Approved() {
		s += " approved"
	}
	if c.Item().Refused {
		s += " refused"
	}
	if c.AvatarHash() != "" {
		s += " avatar " + c.AvatarHash()[:4]
	}
	for r := range c.Resources() {
		s += " /" + showResource(r)
	}
	if c.LastStatus() != "" {
		s += " gone: " + c.LastStatus()
	}
	return s
}

func showResource(r roster.Resource) string {
	return fmt.Sprintf("%s(%d %s %s)", r, r.Priority(), r.Show(), r.Status())
}

// list writes all contacts down, in the order of their names.
func list(r *roster.Roster) string {
	var out []string
	for _, c := range slices.SortedFunc(r.All(), roster.CompareName) {
		out = append(out, show(c))
	}
	return strings.Join(out, ", ")
}

func wantList(t testing.TB, what string, r *roster.Roster, want string) {
	t.Helper()
	if got := list(r); got != want {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func (e *events) RosterDidBeginPopulating(_ context.Context, _ *roster.Roster, version string) {
	e.note("begin(%s)", version)
}
func (e *events) RosterDidEndPopulating(_ context.Context, r *roster.Roster, changes []roster.ContactChange) {
	var out []string
	for _, c := range changes {
		switch {
		case c.Old.IsZero():
			out = append(out, "+"+show(c.New))
		case c.New.IsZero():
			out = append(out, "-"+show(c.Old))
		default:
			out = append(out, show(c.Old)+" -> "+show(c.New))
		}
	}
	slices.Sort(out)
	e.note("end(%s)", strings.Join(out, ", "))
}
func (e *events) RosterDidNotPopulate(_ context.Context, _ *roster.Roster, err error) {
	e.note("not populated(%s)", cause(err))
}
func (e *events) RosterDidAddContact(_ context.Context, _ *roster.Roster, c roster.Contact) {
	e.note("+%s", show(c))
}
func (e *events) RosterDidUpdateContact(_ context.Context, _ *roster.Roster, old, c roster.Contact) {
	e.note("%s -> %s", show(old), show(c))
}
func (e *events) RosterDidRemoveContact(_ context.Context, _ *roster.Roster, old roster.Contact) {
	e.note("-%s", show(old))
}
func (e *events) RosterDidAddResource(_ context.Context, _ *roster.Roster, c roster.Contact, res roster.Resource) {
	e.note("+/%s: %s", showResource(res), show(c))
}
func (e *events) RosterDidUpdateResource(_ context.Context, _ *roster.Roster, c roster.Contact, old, res roster.Resource) {
	e.note("%s -> /%s: %s", showResource(old), showResource(res), show(c))
}
func (e *events) RosterDidRemoveResource(_ context.Context, _ *roster.Roster, c roster.Contact, old roster.Resource) {
	e.note("-/%s: %s", showResource(old), show(c))
}
func (e *events) RosterDidClearResources(context.Context, *roster.Roster) { e.note("cleared") }
func (e *events) RosterDidReceivePresenceSubscriptionRequest(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	e.note("request(%s: %s)", p.From(), show(c))
}
func (e *events) RosterDidReceivePresenceSubscriptionAnswer(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	e.note("answer(%s: %s)", p.Type(), show(c))
}
func (e *events) RosterDidSkipItems(_ context.Context, _ *roster.Roster, items []*roster.ItemError) {
	for _, err := range items {
		e.note("skipped(%.20s)", err.JID)
	}
}
func (e *events) RosterDidFailToStore(_ context.Context, _ *roster.Roster, err *roster.StorageError) {
	e.note("not stored(%s: %v)", err.Op, err.Err)
}

func cause(err error) string {
	var se *stanza.Error
	var d *xmpp.DisconnectedError
	switch {
	case errors.As(err, &se):
		return string(se.Condition)
	case errors.As(err, &d):
		return "disconnected"
	}
	return fmt.Sprint(err)
}

func all(e *events) roster.Delegate {
	return roster.Delegate{Population: e, Contact: e, Resource: e, Clear: e, Subscription: e, Skip: e, Storage: e}
}

// client is a stream with the module.
type client struct {
	*xmpp.Stream
	r      *roster.Roster
	e      *events
	remove func(context.Context) error
}

// stop makes the delegates hear no more.
func (x *client) stop() { _ = x.remove(context.Background()) }

func newClient(t testing.TB, cfg xmpp.Config, c roster.Config) *client {
	t.Helper()
	s, err := xmpp.New(cfg)
	must(t, err)
	x := &client{Stream: s, r: roster.New(c), e: new(events)}
	x.remove = x.r.AddDelegate(all(x.e), nil)
	must(t, x.r.Activate(s))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return x
}

// play logs a client in at a server that is played by hand. It sends no presence by itself.
func play(t testing.TB, c roster.Config, can ...string) (*client, *xmpptest.Peer) {
	t.Helper()
	srv := serve(t, can...)
	peer := srv.Peer("juliet")
	cfg := srv.Config("juliet")
	cfg.NoInitialPresence = true
	x := newClient(t, cfg, c)
	must(t, x.Login(t.Context()))
	return x, peer
}

// populated is play with a roster: items are those that the server has.
func populated(t testing.TB, c roster.Config, items string, can ...string) (*client, *xmpptest.Peer) {
	t.Helper()
	x, peer := play(t, c, can...)
	ver := ""
	if slices.Contains(can, versioning) {
		ver = " ver=''"
	}
	peer.Play(`
		C: <iq id='{roster}' type='get'><query xmlns='jabber:iq:roster'` + ver + `/></iq>
		S: <iq id='{roster}' type='result'><query xmlns='jabber:iq:roster'>` + oneLine(items) + `</query></iq>`)
	must(t, x.r.Wait(t.Context()))
	return x, peer
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// settle waits until nothing happens any more in the bubble.
func settle() { synctest.Wait() }

// bubble runs a test in a bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	checkGoroutines(t)
	synctest.Test(t, f)
}

// inject sends stanzas of the server and waits until they are dealt with.
func inject(peer *xmpptest.Peer, xml string) {
	peer.Inject(xml)
	settle()
}
