package sm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// mortal is a storage whose process can die: then nothing is stored any more. It can fail, too.
type mortal struct {
	sm.Storage
	dead atomic.Bool
	fail atomic.Pointer[error]

	mu    sync.Mutex
	calls []string
}

func (m *mortal) call(name string, f func() error) error {
	if m.dead.Load() {
		return nil
	}
	m.mu.Lock()
	m.calls = append(m.calls, name)
	m.mu.Unlock()
	if err := m.fail.Load(); err != nil {
		return *err
	}
	return f()
}

func (m *mortal) count(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(m.calls), func(s string) bool { return s != name }))
}

func (m *mortal) Load(ctx context.Context, a xmpp.JID) (st *sm.State, err error) {
	err = m.call("load", func() error { st, err = m.Storage.Load(ctx, a); return err })
	return st, err
}

func (m *mortal) Save(ctx context.Context, a xmpp.JID, st *sm.State) error {
	return m.call("save", func() error { return m.Storage.Save(ctx, a, st) })
}

func (m *mortal) Append(ctx context.Context, a xmpp.JID, c *sm.Change) error {
	return m.call("append", func() error { return m.Storage.Append(ctx, a, c) })
}

func (m *mortal) Clear(ctx context.Context, a xmpp.JID) error {
	return m.call("clear", func() error { return m.Storage.Clear(ctx, a) })
}

// process is a client that stores, until it is killed.
type process struct {
	*client
	store *mortal
}

func startProcess(t *testing.T, srv *xmpptest.Server, place sm.Storage, cfg sm.Config) *process {
	t.Helper()
	p := &process{store: &mortal{Storage: place}}
	cfg.Storage = p.store
	p.client = newClient(t, srv.Config("juliet"), cfg)
	return p
}

// kill is what the server and the storage see of kill -9.
func (p *process) kill(srv *xmpptest.Server) {
	p.store.dead.Store(true)
	p.lose(srv)
}

func load(t *testing.T, place sm.Storage) *sm.State {
	t.Helper()
	st, err := place.Load(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestJournal: the server is never shown what is not stored, neither a stanza nor a count.
func TestJournal(t *testing.T) {
	place := sm.MemoryStorage()
	var checked atomic.Int64
	handler := func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
		st, err := place.Load(context.Background(), account)
		if err != nil {
			t.Error(err)
		}
		switch e.Tag {
		case "message":
			checked.Add(1)
			id := e.SelectAttrValue("id", "")
			if st == nil || !slices.ContainsFunc(st.Unacked, func(x sm.Stanza) bool { return strings.Contains(x.XML, `"`+id+`"`) }) {
				t.Errorf("%s was not stored", id)
			}
		case "a":
			checked.Add(1)
			h, err := strconv.ParseUint(e.SelectAttrValue("h", ""), 10, 32)
			if err != nil || st == nil || uint64(st.Handled) < h {
				t.Errorf("%d, %v: stored %+v", h, err, st)
			}
		}
		return false
	}
	srv := xmpptest.NewServer(t, xmpptest.WithHandler(handler), xmpptest.WithStreamManagement(xmpptest.StreamManagement{RequestEvery: 1}))
	p := startProcess(t, srv, place, sm.Config{RequestAfter: 5})
	p.login()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			m := stanza.NewMessage(stanza.Chat, srv.JID("juliet"), "x")
			m.SetID(fmt.Sprint("id", i))
			if err := p.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := range 200 {
			deliver(srv, p.MyJID(), fmt.Sprint(i))
		}
	})
	wg.Wait()
	if err := p.m.WaitAcked(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := checked.Load(); n <= 200 { // each message, and some counts
		t.Errorf("only %d looks", n)
	}
}

// TestStorageFails: the stream goes on, says so once, and stores the whole again when it can.
func TestStorageFails(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		srv.Config("romeo")
		place := sm.MemoryStorage()
		p := startProcess(t, srv, place, quiet)
		p.login()
		settle()
		full := errors.New("full")
		p.store.fail.Store(&full)
		p.sendAll(1, 3)
		settle()
		deliver(srv, p.MyJID(), "a")
		time.Sleep(10 * time.Second)
		p.sendAll(4, 4)
		settle()
		p.e.want(t, "failing", "enabled(true); not stored(append: full)")
		if st := load(t, place); len(st.Unacked) != 0 || !p.IsAuthenticated() {
			t.Errorf("%+v", st)
		}
		p.store.fail.Store(nil)
		time.Sleep(2 * time.Second)
		p.sendAll(5, 5)
		settle()
		if st := load(t, place); st.ID == "" || len(st.Unacked) != 5 || st.Handled != 1 {
			t.Errorf("%+v", st)
		}
		p.sendAll(6, 6)
		settle()
		if n := p.store.count("save"); n > 4 {
			t.Errorf("saved %d times", n)
		}
		if st := load(t, place); len(st.Unacked) != 6 {
			t.Errorf("%+v", st)
		}
		p.store.fail.Store(&full)
		p.Disconnect()
		settle()
		p.e.want(t, "failing again", "not stored(clear: full); end(1,2,3,4,5,6)")
	})
}

// TestStorageRequired: without a storage there is no stream.
func TestStorageRequired(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		cfg := quiet
		cfg.StorageRequired = true
		p := startProcess(t, srv, sm.MemoryStorage(), cfg)
		full := errors.New("full")
		p.store.fail.Store(&full)
		var se *sm.StorageError
		if err := p.Login(t.Context()); !errors.As(err, &se) || se.Op != "load" || !errors.Is(err, full) {
			t.Errorf("login: %v", err)
		}
		p.store.fail.Store(nil)
		p.login()
		settle()
		before := len(srv.Sessions("juliet"))
		p.store.fail.Store(&full)
		time.Sleep(2 * time.Second)
		r := p.sendAll(1, 1)
		settle()
		if err := p.Wait(t.Context()); !errors.As(err, &se) || before != 1 {
			t.Errorf("ended with %v", err)
		}
		if got := states(r); got != "pending" {
			t.Error(got)
		}
		if err := p.Login(t.Context()); !errors.As(err, &se) {
			t.Errorf("login: %v", err)
		}
		p.store.fail.Store(nil)
		time.Sleep(2 * time.Second)
		p.login()
		if err := p.m.WaitAcked(t.Context()); err != nil || states(r) != "acked" {
			t.Errorf("%v, %s", err, states(r))
		}
	})
}

// TestStorageDamaged is a state that cannot be read: a new session begins.
func TestStorageDamaged(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		place := sm.MemoryStorage()
		if err := place.Save(t.Context(), account, &sm.State{Session: sm.Session{ID: "x", JID: account}, Unacked: []sm.Stanza{{XML: "<message"}}}); err != nil {
			t.Fatal(err)
		}
		p := startProcess(t, srv, place, quiet)
		p.login()
		settle()
		if got := p.e.take(); !strings.HasPrefix(got, "not stored(load: ") || !strings.HasSuffix(got, "; enabled(true)") {
			t.Error(got)
		}
		time.Sleep(2 * time.Second)
		p.sendAll(1, 1)
		settle()
		if st := load(t, place); st == nil || st.ID == "x" || len(st.Unacked) != 1 {
			t.Errorf("%+v", st)
		}
	})
}
