package muc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegrationArchive: more is said while somebody is away than the room's history holds; it comes from the archive, after the next session, and for the next process.
func TestIntegrationArchive(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		storage := muc.MemoryStorage()
		account := srv.Config(srv.NewAccount(t))
		process := func() *guest {
			return newGuest(t, muc.Config{Storage: storage}, func(setup func(*xmpp.Stream)) *xmpp.Stream { return srv.Login(t, account, setup) })
		}
		j, ro := come(t, srv, muc.Config{}), process()
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		ro.join(t, garden, "Romeo", muc.JoinOptions{})
		var want []string
		say := func(what string, n int) {
			t.Helper()
			for i := range n {
				_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint(what, " ", i)))
				must(t, err)
				want = append(want, fmt.Sprint(what, " ", i))
			}
		}
		heard := func(s string) (list []string) {
			for line := range strings.Lines(s) {
				if text, ok := strings.CutPrefix(strings.TrimSpace(line), "Juliet: "); ok {
					list = append(list, strings.Join(strings.Fields(text)[:2], " "))
				}
			}
			return list
		}
		say("before", 3)
		ro.waitFor(t, "before 2")
		want = nil

		ro.s.Disconnect()
		ro.waitFor(t, "left: lost rejoins")
		say("meanwhile", 60)
		must(t, ro.s.Login(ctx))
		got := ro.waitFor(t, "caught up")
		if list := heard(got); !slices.Equal(list, want) || !strings.Contains(got, "<nil>") || !strings.Contains(got, "Juliet: meanwhile 0 delayed sid") || strings.Index(got, "subject") < strings.Index(got, "meanwhile 59") {
			t.Errorf("back:\n%s", got)
		}
		say("live", 1)
		ro.waitFor(t, "Juliet: live 0 sid")

		must(t, ro.m.Flush(ctx))
		ro.s.Disconnect()
		_ = ro.s.Close(ctx)
		want = nil
		say("elsewhere", 60)
		next := process()
		r := next.join(t, garden, "Romeo", muc.JoinOptions{})
		got = next.take(t)
		if list := heard(got); !slices.Equal(list, want) || !strings.Contains(got, "caught up") {
			t.Errorf("in the next process: %d heard\n%s", len(list), got)
		}
		must(t, next.m.Flush(ctx))
		n := 0
		must(t, storage.Messages(ctx, account.JID, garden, muc.Query{}, func(m muc.StoredMessage) error { n++; return nil }))
		if n != 3+60+1+60 {
			t.Errorf("%d messages are stored", n)
		}

		// Backwards, as somebody scrolls.
		var back []string
		for m, err := range r.Archive(ctx, muc.ArchiveQuery{Newest: true, Page: 25}) {
			must(t, err)
			if back = append(back, m.Body); !m.Delayed || m.StanzaID == "" || m.Nick != "Juliet" || m.Time.IsZero() || m.Own {
				t.Errorf("from the archive: %+v", m)
			}
			if len(back) == 60 {
				break
			}
		}
		slices.Reverse(back)
		if !slices.Equal(back, want) {
			t.Errorf("backwards: %v", back)
		}
		n = 0
		for m, err := range a.Archive(ctx, muc.ArchiveQuery{Page: 30}) {
			must(t, err)
			if n++; !m.Own {
				t.Errorf("own message: %+v", m)
			}
		}
		if n != 124 {
			t.Errorf("the whole archive is %d messages", n)
		}
		for _, err := range a.Archive(ctx, muc.ArchiveQuery{After: "unheard-of"}) {
			t.Logf("an id that there is not: %v", err)
			break
		}
		out := come(t, srv, muc.Config{})
		must(t, a.Ban(ctx, out.s.MyJID(), ""))
		for m, err := range out.m.Room(garden).Archive(ctx, muc.ArchiveQuery{}) {
			t.Logf("who is banned reads %v, %v", m, err)
			if !errors.Is(err, stanza.Forbidden) {
				t.Errorf("who is banned reads %+v, %v", m, err)
			}
			break
		}
	})
}
