package reliability

import (
	"context"
	"errors"
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

// phone is somebody in a room whose connections are cut.
type phone struct {
	*client
	dialer  *xmpptest.FaultDialer
	other   xmpp.Config // takes the session over
	rooms   *muc.MUC
	room    *muc.Room
	storage muc.Storage
	log     roomLog
	news    int
}

func newPhone(t *testing.T, srv *integration.Server) *phone {
	t.Helper()
	p := &phone{dialer: new(xmpptest.FaultDialer), storage: muc.MemoryStorage()}
	jid, password := srv.NewAccount(t)
	cfg := configOf(t, srv, jid+"/phone", password)
	p.other = cfg
	cfg.Dial = p.dialer.DialContext
	p.client = newClient(t, cfg, sm.Config{})
	p.rooms = muc.New(muc.Config{Storage: p.storage, RejoinMin: 10 * time.Millisecond})
	p.rooms.AddDelegate(muc.Delegate{Message: &p.log, Archive: &p.log, Join: &p.log, Leave: &p.log}, nil)
	if err := p.rooms.Activate(p.Stream); err != nil {
		t.Fatal(err)
	}
	p.login(t)
	<-p.kinds
	return p
}

// cut breaks the connection, and waits for the next session. If that is to be a new one, the server forgets this one meanwhile.
func (p *phone) cut(ctx context.Context, anew bool, away time.Duration) error {
	if anew {
		p.dialer.Refuse(true)
	}
	p.dialer.Reset()
	if anew {
		s, err := xmpp.New(p.other)
		if err != nil {
			return err
		}
		if err := s.Login(ctx); err != nil {
			return err
		}
		time.Sleep(away)
		_ = s.Close(ctx)
		p.dialer.Refuse(false)
	}
	select {
	case kind := <-p.kinds:
		if kind == xmpp.SessionNew {
			p.news++
		}
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("no session")
	}
}

// shake cuts the connection again and again while others talk; so many of the sessions cannot be resumed.
func (p *phone) shake(ctx context.Context, times, anew int) error {
	for i := range times {
		had := p.log.len()
		for end := time.Now().Add(15 * time.Second); p.log.len() < had+5; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				return fmt.Errorf("after %d disconnects nothing is told: %v, left %+v", i, p.room.State(), p.log.left)
			}
		}
		away := time.Duration(i%2) * 150 * time.Millisecond // every other time for more than the history holds
		if err := p.cut(ctx, (i+1)*anew/times > i*anew/times, away); err != nil {
			return err
		}
	}
	return nil
}

// check holds what was told and stored against how many were sent.
func (p *phone) check(ctx context.Context, t *testing.T, want, anew int) {
	t.Helper()
	until(t, 20*time.Second, "the last message", func() bool { return p.log.len() >= want })
	time.Sleep(100 * time.Millisecond) // for what may come twice
	if err := p.rooms.Flush(ctx); err != nil {
		t.Error(err)
	}
	var stored []string
	if err := p.storage.Messages(ctx, p.MyJID().Bare(), p.room.JID(), muc.Query{}, func(m muc.StoredMessage) error {
		stored = append(stored, m.Nick+" "+m.Body)
		return nil
	}); err != nil {
		t.Error(err)
	}
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	for name, lines := range map[string][]string{"the delegate": p.log.lines, "the storage": stored} {
		if wrong, next := inOrder(lines); wrong != "" || len(lines) != want {
			t.Errorf("%s has %d messages of %d, %v: %s; %v, %d new sessions, joined again %d times, %d catch-ups, left %d times",
				name, len(lines), want, next, wrong, p.room.State(), p.news, p.log.rejoins, p.log.caught, len(p.log.left))
		}
	}
	if p.news < anew || len(p.log.failed) > 0 || p.log.rejoins < anew || !p.room.Joined() {
		t.Errorf("%d new sessions, %d times joined again, archives: %v, %v", p.news, p.log.rejoins, p.log.failed, p.room.State())
	}
}

// TestRel_RoomLog: 50 forced disconnects of somebody in a room in which three others talk. After most of them the session is resumed; after the others
// the server has forgotten it, so that the room is joined again, and what was said meanwhile comes from its archive.
// No message is missing or doubled in the stored log, nor for the delegate, and those of each sender are in order.
func TestRel_RoomLog(t *testing.T) {
	const senders = 3
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		phones, times, anew := 1, 50, 15
		if srv.Kind == integration.Ejabberd26 { // each takes a second (TestResumeTime), so three share the disconnects
			phones, times, anew = 3, 17, 5
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		var list []*phone
		garden := xmpp.JID{}
		for i := range phones {
			p := newPhone(t, srv)
			if i == 0 {
				garden = xmpp.MustParseJID(strings.ToLower(p.GenerateUUID()) + "@conference." + integration.Full)
			}
			var err error
			if p.room, err = p.rooms.Join(ctx, garden, fmt.Sprint("phone", i), muc.JoinOptions{}); err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
		stop, done := make(chan struct{}), make(chan int, senders)
		for i := range senders {
			jid, password := srv.NewAccount(t)
			go func() { done <- talk(ctx, t, configOf(t, srv, jid, password), garden, fmt.Sprint("s", i), stop) }()
		}
		shaken := make(chan error, phones)
		for _, p := range list {
			go func() { shaken <- p.shake(ctx, times, anew) }()
		}
		for range list {
			if err := <-shaken; err != nil {
				t.Error(err)
			}
		}
		close(stop)
		want, late, caught, news := 0, 0, 0, 0
		for range senders {
			want += <-done
		}
		for _, p := range list {
			p.check(ctx, t, want, anew)
			late, caught, news = late+p.log.late, caught+p.log.caught, news+p.news
		}
		t.Logf("%d messages, %d disconnects, %d of them beyond resumption, %d catch-ups, %d messages told late: %v",
			want, phones*times, news, caught, late, time.Since(begin).Round(time.Millisecond))
	})
}

// talk says 0, 1, 2 and so on in a room until it is told to stop, and returns how many that were.
func talk(ctx context.Context, t *testing.T, cfg xmpp.Config, room xmpp.JID, nick string, stop chan struct{}) (n int) {
	m := muc.New(muc.Config{})
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Error(err)
		return 0
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) }) // not before: a room without occupants is gone, and its archive with it
	if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
		t.Error(err)
		return 0
	}
	r, err := m.Join(ctx, room, nick, muc.JoinOptions{})
	if err != nil {
		t.Error(err)
		return 0
	}
	for {
		select {
		case <-stop:
			return n
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := r.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room, fmt.Sprint(n, " ", filler))); err != nil {
			t.Errorf("%s, message %d: %v", nick, n, err)
			return n
		}
		n++
	}
}
