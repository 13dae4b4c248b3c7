package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// occupant is somebody in rooms, and what he was told.
type occupant struct {
	*xmpp.Stream
	m *muc.MUC

	mu    sync.Mutex
	heard []string
}

func newOccupant(t *testing.T, cfg xmpp.Config, db *sqlstore.DB) *occupant {
	t.Helper()
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := &occupant{Stream: s}
	var c muc.Config
	if db != nil {
		c.Storage = db.MUC()
		err = sm.New(sm.Config{Storage: db.SM()}).Activate(s)
	}
	o.m = muc.New(c)
	note := func(_ context.Context, _ *muc.Room, m *muc.Message) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.heard = append(o.heard, m.Body)
	}
	o.m.AddDelegate(muc.Delegate{Message: muc.MessageFunc(note)}, nil)
	if err := errors.Join(err, o.m.Activate(s)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Disconnect() })
	return o
}

func (o *occupant) list() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.heard)
}

// TestRooms stores what is said in a room of a real server. The process is killed while others talk, and again; each time the next one knows what there was
// before it is connected, and after it has joined nothing is missing, and nothing is there or told twice.
func TestRooms(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		romeo := newOccupant(t, srv.Config(srv.NewAccount(t)), nil)
		must(romeo.Login(ctx))
		garden := xmpp.MustParseJID(strings.ToLower(romeo.GenerateUUID()) + "@conference." + integration.Full)
		a, err := romeo.m.Join(ctx, garden, "Romeo", muc.JoinOptions{})
		must(err)
		n := 0
		say := func(times int) {
			t.Helper()
			for range times {
				m, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprintf("%d: it's \"the\" 🌹 & <%d>", n, n)))
				must(err)
				if !strings.HasPrefix(m.Body, fmt.Sprint(n)) {
					t.Errorf("%d came back as %q", n, m.Body)
				}
				n++
			}
		}
		all := func() (list []string) {
			for i := range n {
				list = append(list, fmt.Sprintf("%d: it's \"the\" 🌹 & <%d>", i, i))
			}
			return list
		}
		cfg, file := srv.Config(srv.NewAccount(t)), filepath.Join(t.TempDir(), "account.db")
		cfg.JID = xmpp.MustParseJID(cfg.JID.Bare().String() + "/phone")
		stored := func(r *muc.Room) (list []string) {
			t.Helper()
			last := int64(0)
			for m, err := range r.StoredMessages(ctx, muc.Query{}) {
				must(err)
				x, err := stanza.Parse(m.XML)
				if err != nil || x.(*stanza.Message).Body() != m.Body || m.Number <= last || m.Nick != "Romeo" || m.Own || m.Private || m.StanzaID == "" {
					t.Errorf("stored: %+v, %v", m, err)
				}
				last = m.Number
				list = append(list, m.Body)
			}
			return list
		}
		say(3)
		before := 0
		for process := range 4 {
			db := sqlstore.OpenTest(t, file, sqlstore.Config{})
			juliet := newOccupant(t, cfg, db)
			r := juliet.m.Room(garden)
			if got, want := stored(r), all()[:before]; !slices.Equal(got, want) {
				t.Errorf("process %d, before the login: %q, want %q", process, got, want)
			}
			must(juliet.Login(ctx))
			must(r.Join(ctx, "Juliet", muc.JoinOptions{}))
			say(2)
			sqlstore.Soon(t, "she does not hear it", func() bool { return len(juliet.list()) >= n-before })
			must(juliet.m.Flush(ctx))
			if got, want := juliet.list(), all()[before:]; !slices.Equal(got, want) {
				t.Errorf("process %d heard %q, want %q", process, got, want)
			}
			if got, want := stored(r), all(); !slices.Equal(got, want) {
				t.Errorf("process %d has stored %q, want %q", process, got, want)
			}
			there := 0
			for o, err := range r.StoredOccupants(ctx) {
				must(err)
				now, ok := r.Occupant(o.Nick)
				if now.Joined = o.Joined; !ok || o != now {
					t.Errorf("stored: %+v, there: %+v", o, now)
				}
				there++
			}
			if there != 2 {
				t.Errorf("%d occupants are stored", there)
			}
			for room, err := range juliet.m.StoredRooms(ctx) {
				if must(err); room.Room != garden || room.Messages != n || time.Since(room.Last).Abs() > time.Minute {
					t.Errorf("the room is %+v", room)
				}
			}
			// The process ends, and nobody is told; he goes on.
			before = n
			if process%2 == 0 {
				juliet.Fail(errors.New("killed"))
			} else {
				must(juliet.Close(ctx))
			}
			must(db.Close())
			say(3)
		}
	})
}
