package bookmarks_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// rooms are where a client is, with its nicknames.
func (c *client) in() string {
	var out []string
	for r := range c.rooms.Rooms() {
		out = append(out, r.JID().Local()+"/"+r.Nick())
	}
	return strings.Join(out, " ")
}

// TestAutoJoin: rooms are joined when the list of a new session has come, and as it changes, whoever changes it.
func TestAutoJoin(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, m bookmarks.Method) {
		ctx := t.Context()
		other := visit(t, srv, "juliet", options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}})
		must(t, other.Wait(ctx))
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), Nick: "Julia", AutoJoin: true}, {JID: room("crypt")}, {JID: room("hall"), AutoJoin: true}}, nil))
		if got := other.in(); got != "" {
			t.Error("AutoJoinNever has joined", got)
		}
		c := visit(t, srv, "juliet", options{})
		must(t, c.Wait(ctx))
		synctest.Wait()
		in := func(what, want string) {
			t.Helper()
			if m == bookmarks.MethodPrivate {
				must(t, c.Fetch(ctx))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := c.in(); got != want {
				t.Errorf("%s: in %q, want %q", what, got, want)
			}
		}
		in("at first", "garden/Julia hall/juliet")
		must(t, other.Set(ctx, bookmarks.Bookmark{JID: room("crypt"), AutoJoin: true}))
		in("one more", "crypt/juliet garden/Julia hall/juliet")
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), Nick: "Julia"}}, []xmpp.JID{room("hall"), room("nowhere")}))
		in("not any more, and removed", "crypt/juliet")
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), AutoJoin: true}, {JID: room("crypt"), Name: "Crypt", AutoJoin: true}}, nil))
		in("one's own change", "crypt/juliet garden/juliet")

		// What the user does in a room counts until the next session, and so does what is no change of the flag.
		r, _ := c.rooms.Find(room("crypt"))
		must(t, r.Leave(ctx, ""))
		must(t, other.Set(ctx, bookmarks.Bookmark{JID: room("crypt"), Name: "The crypt", AutoJoin: true}))
		in("left by the user", "garden/juliet")
		_, err := c.rooms.Join(ctx, room("orchard"), "me", muc.JoinOptions{})
		must(t, errors.Join(err, other.Set(ctx, bookmarks.Bookmark{JID: room("orchard")})))
		r, _ = c.rooms.Find(room("garden"))
		must(t, r.ChangeNick(ctx, "Giulietta"))
		in("joined by the user", "garden/Giulietta orchard/me")
		c.s.Disconnect()
		synctest.Wait()
		must(t, c.s.Login(ctx))
		must(t, c.Wait(ctx))
		in("the next session", "crypt/juliet garden/Giulietta orchard/me")
		got := c.settled()
		for _, want := range []string{"joined garden as Julia", "joined hall as juliet", "joined crypt as juliet", "left garden", "left hall", "joined garden as Giulietta"} {
			if !strings.Contains(got, want) {
				t.Errorf("heard no %q in\n%s", want, got)
			}
		}
		c.Deactivate()
		synctest.Wait()
		if got := c.in(); got != "crypt/juliet garden/Giulietta orchard/me" {
			t.Error("deactivated: in", got)
		}
	})
}

// TestAutoJoinOffline: what has changed while one was away counts as well.
func TestAutoJoinOffline(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, _ bookmarks.Method) {
		ctx := t.Context()
		c := visit(t, srv, "juliet", options{})
		must(t, c.Wait(ctx))
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), AutoJoin: true}, {JID: room("hall"), AutoJoin: true}}, nil))
		synctest.Wait()
		c.s.Disconnect()
		other := visit(t, srv, "juliet", options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}})
		must(t, other.Wait(ctx))
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden")}, {JID: room("crypt"), AutoJoin: true}}, []xmpp.JID{room("hall")}))
		must(t, c.s.Login(ctx))
		must(t, c.Wait(ctx))
		synctest.Wait()
		if got := c.in(); got != "crypt/juliet" {
			t.Error("in", got)
		}
	})
}

// TestAutoJoinStart follows nothing.
func TestAutoJoinStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, ctx := xmpptest.NewServer(t, forms[bookmarks.MethodNative]...), t.Context()
		o := options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinStart, Nick: "Capulet"}}
		c := visit(t, srv, "juliet", o)
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), AutoJoin: true}))
		synctest.Wait()
		if got := c.in(); got != "" {
			t.Error("in", got)
		}
		d := visit(t, srv, "juliet", o)
		must(t, errors.Join(d.Wait(ctx), d.Set(ctx, bookmarks.Bookmark{JID: room("garden")})))
		synctest.Wait()
		if got := d.in(); got != "garden/Capulet" {
			t.Error("in", got)
		}
		e := visit(t, srv, "juliet", options{noRooms: true})
		must(t, e.Wait(ctx))
		must(t, e.Set(ctx, bookmarks.Bookmark{JID: room("garden"), AutoJoin: true}))
		if got := e.settled(); strings.Contains(got, "join") {
			t.Error("without modules/muc:", got)
		}
	})
}

// TestAutoJoinFails: a failure is told; one that may pass is tried again, and one that the bookmark is to blame for when that has changed.
func TestAutoJoinFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureCompat), xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
			to, condition := stanza.AttrOr(e, "to", ""), ""
			switch x := stanza.Child(e, "x", muc.NS); {
			case e.Tag != "presence" || x == nil:
			case strings.HasPrefix(to, "hall@") && down.Load():
				condition = "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
			case strings.HasPrefix(to, "crypt@") && stanza.ChildText(x, "password", muc.NS) != "tomb":
				condition = "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
			}
			if condition == "" {
				return false
			}
			send("<presence type='error' from='" + to + "' id='" + stanza.AttrOr(e, "id", "") + "'><x xmlns='http://jabber.org/protocol/muc'/>" + condition + "</presence>")
			return true
		}))
		ctx := t.Context()

		down.Store(true)
		var asked atomic.Int32
		c := visit(t, srv, "juliet", options{Config: bookmarks.Config{JoinOptions: func(b bookmarks.Bookmark) muc.JoinOptions {
			asked.Add(1)
			return muc.JoinOptions{History: muc.History{None: true}}
		}}})
		must(t, c.Wait(ctx))
		c.settled()
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("crypt"), AutoJoin: true, Password: "wrong"}, {JID: room("hall"), AutoJoin: true}, {JID: room("garden"), Nick: "\x7f", AutoJoin: true}}, nil))
		got := c.settled()
		for _, want := range []string{
			"not joined crypt: muc: the room has another password retries=false", "not joined hall: muc: the room is full retries=true", "not joined garden: muc: not a nickname retries=false",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("heard no %q in\n%s", want, got)
			}
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("JoinOptions was asked %d times", n)
		}
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("crypt"), Name: "x", AutoJoin: true, Password: "wrong"}))
		c.hears(t, "the name", "~ crypt name=x password=wrong auto")
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("crypt"), AutoJoin: true, Password: "tomb"}))
		c.hears(t, "the right password", "~ crypt password=tomb auto", "joined crypt as juliet")
		time.Sleep(8 * time.Second)
		c.hears(t, "later", "not joined hall: muc: the room is full retries=true")
		down.Store(false)
		time.Sleep(20 * time.Second)
		c.hears(t, "later still", "joined hall as juliet")
		down.Store(true)
		must(t, c.Merge(ctx, []bookmarks.Bookmark{{JID: room("hall")}, {JID: room("garden")}}, nil))
		if got := c.settled(); !strings.Contains(got, "~ garden") || !strings.Contains(got, "left hall") || strings.Contains(got, "left garden") {
			t.Errorf("left: heard\n%s", got)
		}
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("hall"), AutoJoin: true}))
		c.hears(t, "joined again", "~ hall auto", "not joined hall: muc: the room is full retries=true")
		must(t, c.Remove(ctx, room("hall")))
		down.Store(false)
		time.Sleep(time.Hour)
		c.hears(t, "called off", "- hall auto")
		if got := c.in(); got != "crypt/juliet" {
			t.Error("in", got)
		}
	})
}

// TestAutoJoinResumed: a resumed session asks nothing and joins nothing.
func TestAutoJoinResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, ctx := xmpptest.NewServer(t, forms[bookmarks.MethodNative]...), t.Context()
		c, setup := newClient(t, options{})
		s, err := xmpp.New(srv.Config("juliet"))
		must(t, err)
		setup(s)
		must(t, sm.New(sm.Config{}).Activate(s))
		must(t, s.Login(ctx))
		defer s.Close(context.Background())
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), AutoJoin: true}))
		c.hears(t, "at first", "fetched", "+ garden auto", "joined garden as juliet")
		var asked atomic.Int32
		s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			if iq.Child("pubsub", pubsub.NS) != nil {
				asked.Add(1)
			}
			return iq
		}})
		srv.Kill(s.MyJID())
		synctest.Wait()
		must(t, s.Login(ctx))
		c.hears(t, "resumed")
		c.has(t, "resumed", "garden auto")
		if got := c.in(); got != "garden/juliet" || asked.Load() != 0 {
			t.Errorf("in %s, asked %d times", got, asked.Load())
		}
	})
}
