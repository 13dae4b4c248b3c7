package reliability

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// roomLog is what somebody was told in a room.
type roomLog struct {
	mu      sync.Mutex
	lines   []string
	late    int // delayed
	caught  int // catch-ups that have found everything
	failed  []error
	rejoins int
	left    []muc.Departure
}

func (l *roomLog) RoomDidLeave(_ context.Context, _ *muc.Room, d muc.Departure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = append(l.left, d)
}

func (l *roomLog) RoomDidReceiveMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, m.Nick+" "+m.Body)
	if m.Delayed {
		l.late++
	}
}

func (l *roomLog) RoomDidCatchUp(_ context.Context, _ *muc.Room, c muc.CatchUp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.caught++; c.Err != nil {
		l.failed = append(l.failed, c.Err)
	}
}

func (l *roomLog) RoomDidJoin(_ context.Context, _ *muc.Room, e muc.JoinEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Rejoin {
		l.rejoins++
	}
}

func (l *roomLog) RoomDidNotJoin(context.Context, *muc.Room, *muc.JoinError, bool) {}

func (l *roomLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// inOrder says what is wrong with lines "nick number …", of which each nickname's are to be 0, 1, 2 and so on.
func inOrder(lines []string) (wrong string, next map[string]int) {
	next = map[string]int{}
	for i, line := range lines {
		f := strings.Fields(line)
		if want := fmt.Sprint(next[f[0]]); wrong == "" && f[1] != want {
			wrong = fmt.Sprintf("line %d is number %s of %s, where %s was to come", i, f[1], f[0], want)
		}
		next[f[0]]++
	}
	return wrong, next
}

// TestRel_RoomLog: 50 forced disconnects of somebody in a room in which three others talk. After most of them the session is resumed; after the others
// the server has forgotten it, so that the room is joined again, and what was said meanwhile comes from its archive.
// No message is missing or doubled in the stored log, nor for the delegate, and those of each sender are in order.
func TestRel_RoomLog(t *testing.T) {
	const senders = 3
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		resumed, anew := 35, 15
		if srv.Kind == integration.Ejabberd26 { // a second for each resumption (TestResumeTime)
			resumed, anew = 10, 40
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		dialer := new(xmpptest.FaultDialer)
		jid, password := srv.NewAccount(t)
		cfg := configOf(t, srv, jid+"/phone", password)
		other := cfg
		cfg.Dial = dialer.DialContext
		storage, log := muc.MemoryStorage(), new(roomLog)
		c := newClient(t, cfg, sm.Config{})
		rooms := muc.New(muc.Config{Storage: storage, RejoinMin: 10 * time.Millisecond})
		rooms.AddDelegate(muc.Delegate{Message: log, Archive: log, Join: log, Leave: log}, nil)
		if err := rooms.Activate(c.Stream); err != nil {
			t.Fatal(err)
		}
		c.login(t)
		garden := xmpp.MustParseJID(strings.ToLower(c.GenerateUUID()) + "@conference." + integration.Full)
		r, err := rooms.Join(ctx, garden, "Phone", muc.JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stop, done := make(chan struct{}), make(chan int, senders)
		for i := range senders {
			m := muc.New(muc.Config{})
			srv.Client(t, func(s *xmpp.Stream) {
				if err := m.Activate(s); err != nil {
					t.Fatal(err)
				}
			})
			talk, err := m.Join(ctx, garden, fmt.Sprint("s", i), muc.JoinOptions{})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				n := 0
				defer func() { done <- n }()
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
					if _, err := talk.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint(n, " ", filler))); err != nil {
						t.Errorf("s%d, message %d: %v", i, n, err)
						return
					}
					n++
				}
			}()
		}
		news := 0
		<-c.kinds
		session := func() {
			select {
			case kind := <-c.kinds:
				if kind == xmpp.SessionNew {
					news++
				}
			case <-time.After(20 * time.Second):
				t.Fatal("no session")
			}
		}
		for i := range resumed + anew {
			had := log.len()
			until(t, 10*time.Second, "messages", func() bool { return log.len() >= had+5 })
			if t.Failed() {
				t.Fatalf("after %d disconnects, %d of them beyond resumption: %v, %v; left: %v, archives %v, joined again %d times", i, news, r.State(), r.Len(), log.left, log.failed, log.rejoins)
			}
			if (i+1)*anew/(resumed+anew) == i*anew/(resumed+anew) {
				dialer.Reset()
				session()
				continue
			}
			dialer.Refuse(true)
			dialer.Reset()
			s, err := xmpp.New(other) // takes the session over
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Login(ctx); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // long enough for more than the history holds
				time.Sleep(150 * time.Millisecond)
			}
			_ = s.Close(ctx)
			dialer.Refuse(false)
			session()
		}
		close(stop)
		want := 0
		for range senders {
			want += <-done
		}
		until(t, 20*time.Second, "the last message", func() bool { return log.len() >= want })
		time.Sleep(100 * time.Millisecond) // for what may come twice
		if err := rooms.Flush(ctx); err != nil {
			t.Error(err)
		}
		var stored []string
		if err := storage.Messages(ctx, c.MyJID().Bare(), garden, muc.Query{}, func(m muc.StoredMessage) error {
			stored = append(stored, m.Nick+" "+m.Body)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		for name, lines := range map[string][]string{"the delegate": log.lines, "the storage": stored} {
			if wrong, next := inOrder(lines); wrong != "" || len(lines) != want {
				t.Errorf("%s has %d messages of %d, %v: %s", name, len(lines), want, next, wrong)
			}
		}
		if news < anew || len(log.failed) > 0 || log.rejoins < anew || !r.Joined() {
			t.Errorf("%d new sessions, %d joined again, archives %v, %v", news, log.rejoins, log.failed, r.State())
		}
		t.Logf("%d messages, %d disconnects, %d of them beyond resumption, %d times joined again, %d catch-ups, %d messages told late: %v",
			want, resumed+anew, news, log.rejoins, log.caught, log.late, time.Since(begin).Round(time.Millisecond))
	})
}
