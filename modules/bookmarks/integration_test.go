package bookmarks_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// unified says where the server makes one form of the other: all but ejabberd 23.01, which does so for the two older ones only.
func unified(k integration.Kind) bool { return k != integration.Ejabberd }

// eventually waits until something holds.
func eventually(t testing.TB, what string, f func() (got, want string)) {
	t.Helper()
	var got, want string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got, want = f(); got == want {
			return
		}
	}
	t.Errorf("%s: %q, want %q", what, got, want)
}

// comes waits until the list is that.
func (c *client) comes(t testing.TB, what, want string) {
	t.Helper()
	eventually(t, what, func() (string, string) { return listOf(c.Bookmarks), want })
}

// account logs clients of one new account in.
func account(t *testing.T, srv *integration.Server) (login func(o options) *client) {
	address, password := srv.NewAccount(t)
	return func(o options) *client {
		t.Helper()
		c, setup := newClient(t, o)
		srv.Login(t, srv.Config(address, password), setup)
		return c
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestIntegration is the list of one account, in the form that each server can do best, with two clients.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, login := within(t), account(t, srv)
		never := options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}}
		here, there := login(never), login(never)
		must(t, errors.Join(here.Wait(ctx), there.Wait(ctx)))
		want := bookmarks.MethodNative
		if !unified(srv.Kind) {
			want = bookmarks.MethodPEP
		}
		if m, err := here.Method(ctx); m != want || err != nil {
			t.Errorf("%v, %v; want %v", m, err, want)
		}
		b := bookmarks.Bookmark{JID: room("garden"), Name: "Garden & <more> \U0001F319", Nick: "Jülia", Password: "pw", AutoJoin: true}
		b.SetExtension(stanza.New("x", "urn:example:x").A("v", "1").C("y"))
		must(t, here.Set(ctx, b))
		const garden = `garden name=Garden & <more> ` + "\U0001F319" + ` nick=Jülia password=pw auto <x xmlns="urn:example:x" v="1"><y/></x>`
		here.has(t, "added", garden)
		there.comes(t, "added, there", garden)
		if x, _ := there.Get(room("garden")); x.Extension("x", "urn:example:x") == nil {
			t.Error("no extension")
		}
		must(t, there.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Name: "Orchard"}))
		here.comes(t, "changed", `garden name=Orchard <x xmlns="urn:example:x" v="1"><y/></x>`)
		var many []bookmarks.Bookmark
		var list []string
		for n := range 60 {
			many = append(many, bookmarks.Bookmark{JID: room(fmt.Sprintf("room%02d", n)), Name: "n"})
			list = append(list, fmt.Sprintf("room%02d name=n", n))
		}
		must(t, here.Merge(ctx, many, []xmpp.JID{room("garden")}))
		here.has(t, "many", strings.Join(list, "; "))
		there.comes(t, "many, there", strings.Join(list, "; "))
		must(t, there.Fetch(ctx))
		there.has(t, "many, fetched", strings.Join(list, "; "))
		t.Logf("%s keeps %d", srv.Kind, there.Len())
		here.s.Disconnect()
		must(t, there.Replace(ctx, many[:2]))
		must(t, here.s.Login(ctx))
		must(t, here.Wait(ctx))
		here.has(t, "the next session", "room00 name=n; room01 name=n")
		must(t, here.Remove(ctx, room("room00")))
		there.comes(t, "removed", "room01 name=n")
		must(t, errors.Join(here.Remove(ctx, room("room00")), here.Replace(ctx, nil)))
		there.comes(t, "none", "")
		p, err := pubsub.Of(here.s)
		must(t, err)
		must(t, here.Set(ctx, b))
		there.comes(t, "before the node is gone", garden)
		node := bookmarks.NS
		if want == bookmarks.MethodPEP {
			node = bookmarks.NSOld
		}
		if err := p.Purge(ctx, xmpp.JID{}, node); err != nil {
			t.Logf("%s cannot purge: %v", srv.Kind, err)
			must(t, p.DeleteNode(ctx, xmpp.JID{}, node))
		}
		must(t, there.Fetch(ctx))
		there.has(t, "purged", "")
		if srv.Kind.IsProsody() { // which tell nobody of that
			here.comes(t, "purged", "")
		}
		must(t, here.Set(ctx, bookmarks.Bookmark{JID: room("crypt")}))
		there.comes(t, "after that", "crypt")
	})
}

// TestIntegrationNoCaps: without capabilities in presence servers tell nothing; what one writes is on one's own list all the same.
func TestIntegrationNoCaps(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, login := within(t), account(t, srv)
		here, there := login(options{noCaps: true}), login(options{noCaps: true})
		must(t, errors.Join(here.Wait(ctx), there.Wait(ctx)))
		must(t, here.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden")}, {JID: room("crypt")}}, nil))
		here.has(t, "one's own", "crypt; garden")
		must(t, there.Set(ctx, bookmarks.Bookmark{JID: room("orchard")}))
		must(t, here.Remove(ctx, room("crypt")))
		for _, c := range []*client{here, there} {
			must(t, c.Fetch(ctx))
			c.has(t, "fetched", "garden; orchard")
		}
	})
}

// TestIntegrationConversion: one account with clients of all ages. What one form says, the others say, where the server makes them of each other.
func TestIntegrationConversion(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx := within(t)
		methods := []bookmarks.Method{bookmarks.MethodNative, bookmarks.MethodPEP, bookmarks.MethodPrivate}
		see := func(writer, reader bookmarks.Method) bool {
			return unified(srv.Kind) || (writer == bookmarks.MethodNative) == (reader == bookmarks.MethodNative)
		}
		for _, writing := range methods {
			login := account(t, srv)
			with := func(m bookmarks.Method) *client {
				c := login(options{Config: bookmarks.Config{Method: m, AutoJoin: bookmarks.AutoJoinNever}, noRooms: true})
				must(t, c.Wait(ctx))
				return c
			}
			w := with(writing)
			var readers []*client
			for _, m := range methods {
				readers = append(readers, with(m))
			}
			check := func(what, list string) {
				t.Helper()
				for i, r := range readers {
					want := list
					name := fmt.Sprintf("%v written, %v read: %s", writing, methods[i], what)
					if !see(writing, methods[i]) {
						want = ""
					}
					if unified(srv.Kind) || writing != bookmarks.MethodNative { // ejabberd 23.01 tells nobody that items were retracted
						eventually(t, name, func() (string, string) { return plain(r.Bookmarks), want })
					}
					must(t, r.Fetch(ctx))
					if got := plain(r.Bookmarks); got != want {
						t.Errorf("%s: fetched %q, want %q", name, got, want)
					}
				}
			}
			must(t, w.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), Name: "Garden", Nick: "Jülia", Password: "pw", AutoJoin: true}, {JID: room("crypt")}}, nil))
			check("added", "crypt; garden name=Garden nick=Jülia password=pw auto")
			must(t, w.Merge(ctx, []bookmarks.Bookmark{{JID: room("garden"), Name: "Orchard"}}, []xmpp.JID{room("crypt")}))
			check("changed", "garden name=Orchard")
			must(t, w.Remove(ctx, room("garden")))
			check("removed", "")
		}

		// What becomes of extensions when a client of the older kind changes the bookmark; and of web pages.
		login := account(t, srv)
		with := func(m bookmarks.Method) *client {
			c := login(options{Config: bookmarks.Config{Method: m, AutoJoin: bookmarks.AutoJoinNever}, noRooms: true})
			must(t, c.Wait(ctx))
			return c
		}
		native, old := with(bookmarks.MethodNative), with(bookmarks.MethodPEP)
		b := bookmarks.Bookmark{JID: room("garden")}
		b.SetExtension(stanza.New("x", "urn:example:x"))
		must(t, native.Set(ctx, b))
		must(t, old.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Name: "Orchard"}))
		must(t, native.Fetch(ctx))
		t.Logf("%s: after a change by an older client: %s", srv.Kind, listOf(native.Bookmarks))
		err := old.SetURL(ctx, bookmarks.URL{Name: "The play", URL: "https://example.org"})
		if drops := srv.Kind.IsProsody(); drops != errors.Is(err, bookmarks.ErrNoURLs) || !drops && err != nil {
			t.Errorf("a web page: %v", err)
		}
		must(t, native.Set(ctx, bookmarks.Bookmark{JID: room("crypt")}))
		must(t, old.Fetch(ctx))
		t.Logf("%s: after a change by a newer client: %s", srv.Kind, listOf(old.Bookmarks))
	})
}

// plain is the list without extensions.
func plain(b *bookmarks.Bookmarks) string {
	var out []string
	for x := range b.List() {
		out = append(out, show(bookmarks.Bookmark{JID: x.JID, Name: x.Name, Nick: x.Nick, Password: x.Password, AutoJoin: x.AutoJoin}))
	}
	return strings.Join(out, "; ")
}

// TestIntegrationAutoJoin: two clients of one account; one of them says where both are.
func TestIntegrationAutoJoin(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, login := within(t), account(t, srv)
		other := login(options{Config: bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever}})
		must(t, other.Wait(ctx))
		id := strings.ToLower(other.s.GenerateUUID())
		at := func(name string) xmpp.JID {
			return xmpp.MustParseJID(name + "-" + id + "@conference." + integration.Full)
		}
		romeo, setup := newClient(t, options{})
		srv.Client(t, setup)
		_, err := romeo.rooms.Join(ctx, at("garden"), "Romeo", muc.JoinOptions{}) // ejabberd loses what comes for a room that is just ending
		must(t, err)
		secret, err := romeo.rooms.Join(ctx, at("crypt"), "Romeo", muc.JoinOptions{})
		must(t, err)
		f, err := secret.ConfigurationForm(ctx)
		must(t, err)
		submit := f.Submit().Set("muc#roomconfig_roomsecret", "tomb")
		if !srv.Kind.IsProsody() {
			submit.Set("muc#roomconfig_passwordprotectedroom", "1")
		}
		f, err = submit.Form()
		must(t, errors.Join(err, secret.Configure(ctx, f)))

		must(t, other.Merge(ctx, []bookmarks.Bookmark{
			{JID: at("garden"), Nick: "Julia", AutoJoin: true}, {JID: at("crypt"), Nick: "Julia", Password: "tomb", AutoJoin: true}, {JID: at("hall"), Nick: "Julia"},
		}, nil))
		c := login(options{})
		in := func(what string, want ...string) {
			t.Helper()
			eventually(t, what, func() (string, string) {
				var got []string
				for r := range c.rooms.Rooms() {
					if r.Joined() {
						name, _, _ := strings.Cut(r.JID().Local(), "-")
						got = append(got, name+"/"+r.Nick())
					}
				}
				return strings.Join(got, " "), strings.Join(want, " ")
			})
			if t.Failed() {
				t.Logf("%s: heard\n%s", what, c.heard(t))
			}
		}
		in("at first", "crypt/Julia", "garden/Julia")
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: at("hall"), Nick: "Julia", AutoJoin: true}, {JID: at("garden"), Nick: "Julia"}}, nil))
		in("changed", "crypt/Julia", "hall/Julia")
		must(t, other.Remove(ctx, at("crypt")))
		in("removed", "hall/Julia")
		must(t, other.Set(ctx, bookmarks.Bookmark{JID: at("crypt"), Nick: "Julia", Password: "wrong", AutoJoin: true}))
		if got := c.waitFor(t, "not joined crypt"); !strings.Contains(got, muc.ErrPassword.Error()+" retries=false") {
			t.Errorf("heard\n%s", got)
		}
		must(t, other.Set(ctx, bookmarks.Bookmark{JID: at("crypt"), Nick: "Julia", Password: "tomb", AutoJoin: true}))
		in("the right password", "crypt/Julia", "hall/Julia")
		c.s.Disconnect()
		must(t, other.Merge(ctx, []bookmarks.Bookmark{{JID: at("garden"), Nick: "Julia", AutoJoin: true}}, []xmpp.JID{at("hall")}))
		must(t, c.s.Login(ctx))
		in("the next session", "crypt/Julia", "garden/Julia")
	})
}
