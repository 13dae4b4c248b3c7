// Package contacts measures how a roster gets to the application: over the wire, and from a storage.
package contacts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Fetch is what fetching a whole roster takes.
type Fetch struct {
	Contacts int
	Bytes    int     // of the server's answer
	Wall     float64 // milliseconds from the request to the event that the roster is there, the median of the rounds
	CPU      float64 // milliseconds of processor time of client and server, the median
	Heap     int     // bytes that the roster keeps
	Events   int     // that a delegate got about it
}

// Start is how long it takes until contacts can be shown, in milliseconds, medians of the rounds.
type Start struct {
	Server   string
	Contacts int
	Login    float64 // from nothing, the whole roster fetched: connecting, login and the fetch
	Whole    float64 // the fetch alone
	Stored   float64 // from nothing, contacts read from SQLite: opening the file and reading it
	Read     float64 // reading alone, the file being open
	Diff     float64 // the request with the version that is stored, and the answer of ten changes, until the last of them is stored; 0 if the server sends none
}

// password is that of every account here.
const password = "bench-secret"

// Changes is how many contacts have changed since the roster was stored.
const Changes = 10

// item is the n-th contact.
func item(n, version int) string {
	return fmt.Sprintf("<item jid='contact%06d@example.test' name='Contact number %d.%d' subscription='both'><group>Group %d</group></item>", n, n, version, n%20)
}

// server answers for a roster of n contacts, as bytes that are ready.
func server(n int) (srv *xmpptest.Server, cfg xmpp.Config, size int) {
	var whole strings.Builder
	whole.WriteString("<query xmlns='jabber:iq:roster' ver='v0'>")
	for i := range n {
		whole.WriteString(item(i, 0))
	}
	whole.WriteString("</query>")
	answer := func(from xmpp.JID, e *etree.Element, send func(string)) bool {
		q := e.SelectElement("query")
		if e.Tag != "iq" || e.SelectAttrValue("type", "") != "get" || q == nil || q.SelectAttrValue("xmlns", "") != roster.NS {
			return false
		}
		id := e.SelectAttrValue("id", "")
		if q.SelectAttrValue("ver", "") != "v0" {
			send("<iq type='result' id='" + id + "' to='" + from.String() + "'>" + whole.String() + "</iq>")
			return true
		}
		send("<iq type='result' id='" + id + "' to='" + from.String() + "'/>")
		for i := range Changes {
			send(fmt.Sprintf("<iq type='set' id='push%d' to='%s'><query xmlns='jabber:iq:roster' ver='v%d'>%s</query></iq>", i, from, i+1, item(i, 1)))
		}
		return true
	}
	srv = xmpptest.StartServer(xmpptest.WithHandler(answer))
	srv.AddAccount("juliet", password)
	cfg = srv.Config("juliet")
	addr := netip.MustParseAddrPort(srv.Addr())
	cfg.Dial, cfg.Host, cfg.Port = nil, addr.Addr().String(), int(addr.Port())
	return srv, cfg, whole.Len()
}

// MeasureFetch fetches a roster of n contacts, rounds times.
func MeasureFetch(ctx context.Context, n, rounds int) (f Fetch, err error) {
	srv, cfg, size := server(n)
	defer srv.Close()
	f = Fetch{Contacts: n, Bytes: size}
	var wall, cpu []float64
	for range rounds {
		before := heap()
		s, err := xmpp.New(cfg)
		if err != nil {
			return f, err
		}
		r := roster.New(roster.Config{NoAutoFetch: true})
		c := &counter{}
		r.AddDelegate(roster.Delegate{Population: c, Contact: c}, nil)
		if err := errors.Join(r.Activate(s), s.Login(ctx)); err != nil {
			return f, err
		}
		used, start := processorTime(), time.Now()
		if err := r.Fetch(ctx); err != nil {
			return f, err
		}
		wall, cpu = append(wall, ms(time.Since(start))), append(cpu, ms(processorTime()-used))
		if r.Len() != n {
			return f, fmt.Errorf("%d contacts of %d", r.Len(), n)
		}
		if err := s.Close(ctx); err != nil {
			return f, err
		}
		f.Heap, f.Events = int(heap()-before), c.events
		runtime.KeepAlive(r)
	}
	f.Wall, f.CPU = micro.Median(wall), micro.Median(cpu)
	return f, nil
}

// counter counts events about contacts.
type counter struct{ events int }

func (c *counter) RosterDidBeginPopulating(context.Context, *roster.Roster, string) {}
func (c *counter) RosterDidEndPopulating(context.Context, *roster.Roster, []roster.ContactChange) {
	c.events++
}
func (c *counter) RosterDidNotPopulate(context.Context, *roster.Roster, error)         {}
func (c *counter) RosterDidAddContact(context.Context, *roster.Roster, roster.Contact) { c.events++ }
func (c *counter) RosterDidUpdateContact(context.Context, *roster.Roster, roster.Contact, roster.Contact) {
	c.events++
}
func (c *counter) RosterDidRemoveContact(context.Context, *roster.Roster, roster.Contact) { c.events++ }

// MeasureStart measures how soon n contacts are there, without and with a storage, in files in the folder dir. The server is one in this process,
// which holds its answer ready.
func MeasureStart(ctx context.Context, dir string, n, rounds int) (Start, error) {
	srv, cfg, _ := server(n)
	defer srv.Close()
	return start(ctx, "in this process", dir, cfg, n, rounds, true)
}

// MeasureRealStart is MeasureStart with a real server.
func MeasureRealStart(ctx context.Context, dir string, kind integration.Kind, n, rounds int) (st Start, err error) {
	version, err := integration.Available(kind)
	if err != nil {
		return st, err
	}
	srv, err := integration.Launch(kind, integration.LogLevel("error"))
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	if err := srv.CreateAccount("juliet", integration.Lean, password); err != nil {
		return st, err
	}
	cfg := srv.Config("juliet@"+integration.Lean, password)
	if err := fill(ctx, cfg, n); err != nil {
		return st, err
	}
	return start(ctx, fmt.Sprintf("%s %s", kind, version), dir, cfg, n, rounds, false)
}

// fill puts n contacts into a roster.
func fill(ctx context.Context, cfg xmpp.Config, n int) error {
	s, err := xmpp.New(cfg)
	if err != nil {
		return err
	}
	if err := s.Login(ctx); err != nil {
		return err
	}
	const lanes = 8
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for i := lane; i < n && errs[lane] == nil; i += lanes {
				_, errs[lane] = s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.New("query", roster.NS).
					C("item").A("jid", fmt.Sprintf("contact%06d@example.test", i)).A("name", fmt.Sprintf("Contact number %d", i)).
					C("group").T(fmt.Sprintf("Group %d", i%20))))
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, s.Close(ctx))...)
}

func start(ctx context.Context, name, dir string, cfg xmpp.Config, n, rounds int, diffs bool) (st Start, err error) {
	var login, whole, stored, read, diff []float64
	for round := range rounds {
		file := filepath.Join(dir, fmt.Sprintf("%.7s-%d.db", name, round))
		l, w, err := fresh(ctx, cfg, file, n)
		if err != nil {
			return st, err
		}
		s, r, d, err := again(ctx, cfg, file, n, diffs)
		if err != nil {
			return st, err
		}
		login, whole, stored, read, diff = append(login, ms(l)), append(whole, ms(w)), append(stored, ms(s)), append(read, ms(r)), append(diff, ms(d))
	}
	return Start{name, n, micro.Median(login), micro.Median(whole), micro.Median(stored), micro.Median(read), micro.Median(diff)}, nil
}

// fresh logs in without knowing anything, and then stores the roster in the file.
func fresh(ctx context.Context, cfg xmpp.Config, file string, n int) (login, whole time.Duration, err error) {
	cfg.Credentials = xmpp.Password(password) // a new value: keys that an earlier login has derived are not used
	start := time.Now()
	s, err := xmpp.New(cfg)
	if err != nil {
		return 0, 0, err
	}
	r := roster.New(roster.Config{})
	if err := errors.Join(r.Activate(s), s.Login(ctx), r.Wait(ctx)); err != nil {
		return 0, 0, err
	}
	login = time.Since(start)
	if r.Len() != n {
		return 0, 0, fmt.Errorf("%d contacts of %d", r.Len(), n)
	}
	start = time.Now()
	if err := r.FetchWhole(ctx); err != nil {
		return 0, 0, err
	}
	whole = time.Since(start)
	if err := s.Close(ctx); err != nil {
		return 0, 0, err
	}
	db, err := sqlstore.Open(ctx, file, sqlstore.Config{})
	if err != nil {
		return 0, 0, err
	}
	items := func(yield func(roster.Item) bool) {
		for c := range r.All() {
			if !yield(c.Item()) {
				return
			}
		}
	}
	return login, whole, errors.Join(db.Roster().Save(ctx, cfg.JID, r.Version(), items), db.Close())
}

// again starts with what is in the file, and then gets the changes.
func again(ctx context.Context, cfg xmpp.Config, file string, n int, diffs bool) (stored, read, diff time.Duration, err error) {
	start := time.Now()
	db, err := sqlstore.Open(ctx, file, sqlstore.Config{})
	if err != nil {
		return 0, 0, 0, err
	}
	opened := time.Now()
	s, err := xmpp.New(cfg)
	if err != nil {
		return 0, 0, 0, err
	}
	r := roster.New(roster.Config{Storage: db.Roster(), NoAutoFetch: true})
	if err := r.Activate(s); err != nil {
		return 0, 0, 0, err
	}
	if r.Len() != n {
		return 0, 0, 0, fmt.Errorf("%d contacts stored of %d", r.Len(), n)
	}
	stored, read = time.Since(start), time.Since(opened)
	if !diffs {
		return stored, read, 0, db.Close()
	}
	if err := s.Login(ctx); err != nil {
		return 0, 0, 0, err
	}
	start = time.Now()
	done := make(changed, 1)
	r.AddDelegate(roster.Delegate{Change: done}, nil)
	if err := r.Fetch(ctx); err != nil {
		return 0, 0, 0, err
	}
	for r.Version() != fmt.Sprintf("v%d", Changes) {
		select {
		case <-done:
		case <-ctx.Done():
			return 0, 0, 0, ctx.Err()
		}
	}
	if err := r.Flush(ctx); err != nil {
		return 0, 0, 0, err
	}
	diff = time.Since(start)
	return stored, read, diff, errors.Join(s.Close(ctx), db.Close())
}

// changed is told that the roster has changed.
type changed chan struct{}

func (c changed) RosterDidChange(context.Context, *roster.Roster) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// heap is how much is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// processorTime is that of this process so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
