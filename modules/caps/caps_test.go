package caps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestDiscover: a hash is asked for once, at the node and the full address of who announced it, and known for all (CAP-06, CAP-13, CAP-14).
func TestDiscover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		a, b := client("f:a", "f:both"), client("f:b", "f:both")
		w.reply("romeo/x", reply{info: a})
		w.supports(jid("romeo/x"), "f:a", "?")
		w.announce("romeo/x", c115(t, "urn:client", a))
		w.want("the first", "romeo/x=f:a+f:both", "romeo/x "+node115(t, "urn:client", a))
		w.announce("romeo/y", c115(t, "urn:client", a))
		w.announce("benvolio/z", c115(t, "urn:another", a))
		w.want("the same", "romeo/y=f:a+f:both; benvolio/z=f:a+f:both", "")
		w.announce("romeo/x", c115(t, "urn:client", a)+"<show>away</show>")
		w.announce("romeo/x", "<show>dnd</show>") // a server may leave out what was said before (XEP-0115 section 8.4)
		w.want("again", "", "")
		for _, tt := range []struct{ of, feature, want string }{
			{"romeo/x", "f:a", "yes"}, {"romeo/x", "f:b", "no"}, {"romeo", "f:a", "yes"}, {"romeo", "f:b", "no"}, {"romeo/z", "f:a", "?"}, {"mercutio", "f:a", "?"},
			{"romeo/x", disco.NSInfo, "yes"},
		} {
			w.supports(jid(tt.of), tt.feature, tt.want)
		}
		if got, ok := w.c.Announced(jid("romeo/x")); !ok || got.Node != "urn:client" || got.Algo != "sha-1" || len(got.Hashes) != 1 || got.Hashes[0].Value != got.Ver {
			t.Errorf("announced: %+v, %v", got, ok)
		}
		if _, ok := w.c.Announced(jid("mercutio/x")); ok {
			t.Error("somebody who was not heard of has announced something")
		}
		if info, known := w.c.Known(jid("romeo/y")); !known || len(info.Identities) != 1 {
			t.Errorf("%+v, %v", info, known)
		}
		// One of several who is not known makes the answer about all of them uncertain, if none of the others can do it.
		w.reply("romeo/x", reply{info: b, after: time.Minute})
		w.announce("romeo/x", c115(t, "urn:client", b))
		w.want("something else", "", "romeo/x "+node115(t, "urn:client", b))
		w.supports(jid("romeo/x"), "f:a", "?")
		w.supports(jid("romeo"), "f:a", "yes")
		w.supports(jid("romeo"), "f:b", "?")
		w.leave("romeo/x")
		w.supports(jid("romeo"), "f:b", "no")
		w.leave("romeo")
		w.supports(jid("romeo"), "f:a", "?")
		w.leave("romeo/never-here")
		if n, contacts, groups, _, _ := w.c.Sizes(); n != 1 || contacts != 1 || groups != 1 {
			t.Errorf("%d entities, %d contacts, %d hashes", n, contacts, groups)
		}
		w.want("the end", "", "")

		// The next session knows the hashes, and nobody.
		time.Sleep(2 * time.Minute)
		w.s.Disconnect()
		must(t, w.s.Wait(t.Context()))
		w.supports(jid("benvolio/z"), "f:a", "yes")
		must(t, w.s.Login(t.Context()))
		w.supports(jid("benvolio/z"), "f:a", "?")
		w.announce("benvolio/z", c115(t, "urn:client", a))
		w.want("the next session", "benvolio/z=f:a+f:both", "")
		w.c.Deactivate()
		w.supports(jid("benvolio/z"), "f:a", "?")
		must(t, w.c.Activate(w.s))
		w.announce("benvolio/z", c115(t, "urn:client", a))
		w.want("off and on", "benvolio/z=f:a+f:both", "")
	})
}

// TestOneQuery: one is asked for all who announce a hash; 30 s later the next (CAP-07).
func TestOneQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		a := client("f:a")
		node := " " + node115(t, "n", a)
		w.reply("u1", reply{silent: true})
		w.reply("u2", reply{err: "service-unavailable"})
		w.reply("u3", reply{info: a, after: 5 * time.Second})
		start := time.Now()
		for _, u := range []string{"u1/x", "u2/x", "u3/x", "u4/x", "u5/x"} {
			w.announce(u, c115(t, "n", a))
		}
		w.leave("u4/x")
		w.want("at once", "", "u1/x"+node)
		time.Sleep(30*time.Second - time.Nanosecond)
		w.want("before the end of the wait", "", "")
		time.Sleep(time.Nanosecond)
		w.want("after 30 s", "", "u2/x"+node+"; u3/x"+node)
		done := make(chan error)
		go func() {
			_, err := w.c.Fetch(t.Context(), jid("u5/x"))
			done <- err
		}()
		w.want("while somebody is being asked", "", "")
		time.Sleep(5 * time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
		// All who announced it know now, those who did not answer too: the hash is theirs.
		w.want("the answer", "u1/x=f:a; u2/x=f:a; u3/x=f:a; u5/x=f:a", "")
		if took := time.Since(start); took != 35*time.Second {
			t.Errorf("it took %v", took)
		}
		if w.mostOne > 1 {
			t.Errorf("%d questions at the same time", w.mostOne)
		}
	})
}

// TestNobodyAnswers: it is given up, told of, and tried again with the next who announces it.
func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		a := client("f:a")
		node := " " + node115(t, "n", a)
		w.reply("u1", reply{silent: true})
		w.reply("u2", reply{err: "item-not-found"})
		w.announce("u1/x", c115(t, "n", a))
		w.announce("u2/x", c115(t, "n", a))
		done := make(chan error)
		go func() {
			_, err := w.c.Fetch(t.Context(), jid("u1/x"))
			done <- err
		}()
		time.Sleep(31 * time.Second)
		w.want("nobody", "", "u1/x"+node+"; u1/x"+node) // Fetch has asked anew
		time.Sleep(30 * time.Second)
		if err := <-done; !errors.Is(err, xmpp.ErrIQTimeout) {
			t.Errorf("Fetch: %v", err)
		}
		w.want("given up", "u1/x!timeout; u2/x!item-not-found", "u2/x"+node)
		w.announce("u1/x", c115(t, "n", a))
		time.Sleep(time.Hour)
		w.want("the same again", "", "")
		if _, err := w.c.Fetch(t.Context(), jid("u2/x")); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("Fetch: %v", err)
		}
		w.want("Fetch", "u2/x!item-not-found", "u2/x"+node)
		w.reply("u3", reply{info: a})
		w.announce("u3/x", c115(t, "n", a))
		w.want("one who answers", "u1/x=f:a; u2/x=f:a; u3/x=f:a", "u3/x"+node)

		// Whoever waits for somebody who leaves, or says something else, does not wait on.
		b := client("f:b")
		w.reply("u4", reply{silent: true})
		for _, tt := range []struct {
			end  func()
			want error
		}{
			{func() { w.leave("u4/x") }, caps.ErrUnanswered},
			{func() { w.announce("u4/x", c115(t, "n", exodus)) }, caps.ErrUnanswered},
			{func() { w.announce("u4/x", c115(t, "n", a)) }, caps.ErrUnanswered},
			{func() { w.c.Deactivate() }, xmpp.ErrInvalidState},
		} {
			w.announce("u4/x", c115(t, "n", b))
			go func() {
				_, err := w.c.Fetch(t.Context(), jid("u4/x"))
				done <- err
			}()
			synctest.Wait()
			tt.end()
			if err := <-done; !errors.Is(err, tt.want) {
				t.Errorf("Fetch: %v, want %v", err, tt.want)
			}
		}
	})
}

// TestDisconnect: the end of the connection is no news about those who were being asked.
func TestDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		w.reply("u1", reply{silent: true})
		w.announce("u1/x", c115(t, "n", client("f:a")))
		done := make(chan error)
		go func() {
			_, err := w.c.Fetch(t.Context(), jid("u1/x"))
			done <- err
		}()
		synctest.Wait()
		w.s.Disconnect()
		if err := <-done; !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("Fetch: %v", err)
		}
		time.Sleep(time.Hour)
		w.want("disconnected", "", w.whoWasAsked())
	})
}

// TestTries: not everybody is asked in vain.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		for n := range 3 * caps.MaxTries {
			w.reply(fmt.Sprintf("u%d", n), reply{err: "item-not-found", after: time.Second})
			w.announce(fmt.Sprintf("u%d/x", n), c115(t, "n", client("f:a")))
		}
		time.Sleep(time.Minute)
		if heard, asked := w.count(); asked != caps.MaxTries || heard != caps.MaxTries {
			t.Errorf("%d were asked, %d events", asked, heard)
		}
	})
}

// TestMismatch: an answer that does not fit counts for the one who gave it; the next is asked (CAP-08).
func TestMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		a, other := client("f:a"), client("f:other")
		node := " " + node115(t, "n", a)
		w.reply("u1", reply{info: other})
		w.reply("u2", reply{info: a, after: time.Second})
		for _, u := range []string{"u1/x", "u2/x", "u3/x"} {
			w.announce(u, c115(t, "n", a))
		}
		time.Sleep(time.Minute)
		w.want("mismatch", "u1/x=f:other; u2/x=f:a; u3/x=f:a", "u1/x"+node+"; u2/x"+node)
		w.reply("u5", reply{silent: true})
		w.announce("u4/x", c115(t, "n", a))
		w.announce("u1/y", c115(t, "n", a))
		w.announce("u5/x", c115(t, "n", other))
		w.want("what is known", "u4/x=f:a; u1/y=f:a", "u5/x "+node115(t, "n", other))
		w.supports(jid("u1/x"), "f:other", "yes")
		w.leave("u1/x")
		w.supports(jid("u1/x"), "f:other", "?")
	})
}

// TestLegacy: those without a hash are asked on request only (CAP-10), and so is everybody else (CAP-11).
func TestLegacy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, auto := range []bool{false, true} {
			w := newWorld(t, caps.Config{Only115: true, FetchLegacy: auto})
			w.reply("old", reply{info: client("f:old")})
			w.reply("silent", reply{silent: true})
			w.reply("plain", reply{info: client("f:plain")})
			const c = "<c xmlns='http://jabber.org/protocol/caps' node='urn:old' ver='0.9' ext='voice-v1 cam'/>"
			w.announce("old/x", c)
			if auto {
				w.want("automatically", "old/x=f:old", "old/x")
				w.announce("old/y", c)
				w.want("each", "old/y=f:old", "old/y")
				w.s.Disconnect()
				continue
			}
			w.announce("old/y", c)
			w.want("legacy", "", "")
			w.supports(jid("old/x"), "f:old", "?")
			info, err := w.c.Fetch(t.Context(), jid("old/x"))
			if err != nil || !info.Has("f:old") {
				t.Errorf("%+v, %v", info, err)
			}
			w.want("Fetch", "old/x=f:old", "old/x")
			w.supports(jid("old/x"), "f:old", "yes")
			w.supports(jid("old/y"), "f:old", "?")
			if _, err := w.c.Fetch(t.Context(), jid("old/x")); err != nil {
				t.Error(err)
			}
			w.want("Fetch of what is known", "", "")

			if info, err := w.c.Fetch(t.Context(), jid("plain/x")); err != nil || !info.Has("f:plain") {
				t.Errorf("%+v, %v", info, err)
			}
			w.want("Fetch of one who has announced nothing", "plain/x=f:plain", "plain/x")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := w.c.Fetch(ctx, jid("silent/x")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Fetch: %v", err)
			}
			cancel()
			w.want("the end of ctx", "", "silent/x")
			if _, err := w.c.Fetch(t.Context(), jid("silent/x")); !errors.Is(err, xmpp.ErrIQTimeout) {
				t.Errorf("Fetch: %v", err)
			}
			w.want("no answer", "silent/x!timeout", "silent/x")
			w.announce("old/y", strings.Replace(c, "0.9", "1.0", 1))
			w.want("something else", "", "")
			w.s.Disconnect()
		}
	})
}

// TestUnknownHash: what cannot be verified is asked for, and counts for the one who was asked (XEP-0115 section 5.4).
func TestUnknownHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		const c = "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' hash='md6'/>"
		w.reply("u1", reply{info: client("f:1")})
		w.reply("u2", reply{info: client("f:2")})
		w.announce("u1/x", c)
		w.announce("u2/x", c)
		w.announce("u1/y", "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='x'>y</hash></c>")
		w.want("each is asked", "u1/x=f:1; u2/x=f:2; u1/y=f:1", "u1/x n#v; u2/x n#v; u1/y")
		if _, _, _, _, cached := w.c.Sizes(); cached != 0 {
			t.Errorf("%d are kept", cached)
		}
	})
}

// TestBoth is XEP-0390 beside XEP-0115.
func TestBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, caps.Config{})
		a := client("f:a")
		both := c390(t, a, "sha-256", "sha3-512") + c115(t, "n", a)
		w.reply("u1", reply{info: a})
		w.announce("u1/x", both)
		w.want("both", "u1/x=f:a", "u1/x "+node390(t, a, "sha3-512"))
		w.announce("u2/x", c115(t, "n", a))
		w.announce("u2/y", c390(t, a, "sha-256"))
		w.want("one of them", "u2/x=f:a; u2/y=f:a", "")
		if got, ok := w.c.Announced(jid("u1/x")); !ok || len(got.Hashes) != 3 {
			t.Errorf("%+v", got)
		}

		// A client that does not answer at the node of XEP-0390 is asked at the other, and the answer verified by the first.
		b := client("f:b")
		w.reply("u3", reply{err: "item-not-found"})
		w.announce("u3/x", c390(t, b, "sha-256")+c115(t, "n", b))
		w.want("an error", "u3/x!item-not-found", "u3/x "+node390(t, b, "sha-256")+"; u3/x "+node115(t, "n", b))

		// What is known by XEP-0115 is made use of only if it fits the hash of XEP-0390 (its section 7.2).
		e, other := client("f:e"), client("f:other")
		w.reply("u4", reply{info: e})
		w.announce("u4/x", c115(t, "n", e))
		w.announce("u5/x", c390(t, e, "sha-256")+c115(t, "n", e))
		w.want("known by the other", "u4/x=f:e; u5/x=f:e", "u4/x "+node115(t, "n", e))
		w.reply("u6", reply{info: other})
		w.announce("u6/x", c390(t, other, "sha-256")+c115(t, "n", e))
		w.want("not the same", "u6/x=f:other", "u6/x "+node390(t, other, "sha-256"))

		// The language of the server around it.
		g := client("f:g")
		w.reply("u7", reply{info: g, lang: "en"})
		w.announce("u7/x", c390(t, g, "sha-256"))
		w.announce("u7/y", c390(t, g, "sha-256"))
		w.want("a language", "u7/x=f:g; u7/y=f:g", "u7/x "+node390(t, g, "sha-256"))
	})
}
