package caps_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/caps/capstest"
	"github.com/go-xmppframework/xmpp/modules/disco"
)

func TestMemoryStorage(t *testing.T) {
	capstest.TestStorage(t, func(*testing.T) func() caps.Storage {
		m := caps.MemoryStorage()
		return func() caps.Storage { return m }
	})
}

// TestPersistence: what was verified outlives the module, for everybody who announces it (CAP-13).
func TestPersistence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := caps.MemoryStorage()
		a := tkabber
		for run, asked := range []string{"u/x " + node390(t, a, "sha-256"), "", ""} {
			w := newWorld(t, caps.Config{Storage: storage})
			w.reply("u", reply{info: a})
			c := c390(t, a, "sha-256") + c115(t, "n", a)
			if run == 2 {
				c = c115(t, "n", a)
			}
			w.announce("u/x", c)
			w.want(fmt.Sprint("run ", run), "u/x="+heardOf(t, a), asked)
			info, _ := w.c.Known(jid("u/x"))
			if f := info.Form("urn:xmpp:dataforms:softwareinfo"); f == nil || f.Value("os_version") != "XP" || info.Identities[1].Lang != "ru" && info.Identities[0].Lang != "ru" {
				t.Errorf("run %d: %+v", run, info)
			}
			w.s.Disconnect()
		}
		other := newWorld(t, caps.Config{Storage: storage})
		if xml, err := storage.Load(t.Context(), xmpp.MustParseJID("romeo@example.test"), caps.Hash115(infoOf(t, a), "sha-1")); xml != "" || err != nil {
			t.Errorf("another account: %q, %v", xml, err)
		}
		other.s.Disconnect()
	})
}

// broken is a storage that does what it should not.
type broken struct {
	caps.Storage
	mu    sync.Mutex
	fail  bool
	stall bool
	text  string // what Load returns, if it is not empty
	calls []string
}

var errBroken = errors.New("broken")

func (b *broken) note(ctx context.Context, op string) error {
	b.mu.Lock()
	b.calls = append(b.calls, op)
	fail, stall := b.fail, b.stall
	b.mu.Unlock()
	if stall {
		<-ctx.Done()
		return ctx.Err()
	}
	if fail {
		return errBroken
	}
	return nil
}

func (b *broken) Load(ctx context.Context, account xmpp.JID, h caps.Hash) (string, error) {
	if err := b.note(ctx, "load"); err != nil || b.text != "" {
		return b.text, err
	}
	return b.Storage.Load(ctx, account, h)
}

func (b *broken) Save(ctx context.Context, account xmpp.JID, h caps.Hash, xml string) error {
	if err := b.note(ctx, "save"); err != nil {
		return err
	}
	return b.Storage.Save(ctx, account, h, xml)
}

func (b *broken) Trim(ctx context.Context, account xmpp.JID, keep int) error {
	if err := b.note(ctx, fmt.Sprint("trim ", keep)); err != nil {
		return err
	}
	return b.Storage.Trim(ctx, account, keep)
}

func (b *broken) take() string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.calls, " ")
	b.calls = nil
	return s
}

// TestStorageFails: a storage that fails, hangs, or returns something else costs a question, and no more.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := &broken{Storage: caps.MemoryStorage()}
		w := offline(t, caps.Config{Only115: true, Storage: b})
		cfg := w.srv.Config("juliet")
		var mu sync.Mutex
		cfg.Logger = slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), nil))
		s, err := xmpp.New(cfg)
		must(t, err)
		w.c.Deactivate()
		w.d.Deactivate()
		must(t, errors.Join(w.d.Activate(s), w.c.Activate(s)))
		w.s = s
		t.Cleanup(s.Disconnect)
		must(t, s.Login(t.Context()))
		logged := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Count(log.String(), "level="); got != want {
				t.Errorf("%s: logged %s", what, log.String())
			}
			log.Reset()
		}
		n := 0
		// one announces something new, which is heard of.
		one := func(what string, asked bool) (info string) {
			t.Helper()
			n++
			info = client(fmt.Sprint("f:", n))
			w.reply("u", reply{info: info})
			w.announce("u/x", c115(t, "n", info))
			want := ""
			if asked {
				want = "u/x " + node115(t, "n", info)
			}
			w.want(what, fmt.Sprint("u/x=f:", n), want)
			return info
		}
		one("good", true)
		if got := b.take(); got != "load save trim 10000" {
			t.Errorf("calls: %s", got)
		}
		one("good", true)
		if got := b.take(); got != "load save" {
			t.Errorf("calls: %s", got)
		}
		logged("good", 0)
		b.fail = true
		one("failing", true)
		one("failing", true)
		logged("failing", 1)
		b.fail = false
		one("good again", true)
		b.fail = true
		one("failing again", true)
		logged("failing again", 1)
		b.fail = false
		for _, text := range []string{"<", "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='f:evil'/></query>", "<x/>"} {
			b.text = text
			one("another text", true)
			w.leave("u/x")
			logged("another text", 1)
		}
		b.text = ""
		b.take()

		b.stall = true
		info := client("f:stall")
		w.reply("u", reply{info: info})
		w.announce("u/x", c115(t, "n", info))
		w.want("while the storage hangs", "", "")
		time.Sleep(10 * time.Second)
		w.want("after ten seconds", "u/x=f:stall", "u/x "+node115(t, "n", info))
		w.c.Deactivate() // with saves on their way
		time.Sleep(time.Minute)
		b.stall = false
		must(t, w.c.Activate(s))
		w.announce("u/x", c115(t, "n", info))
		w.want("what was not saved is in memory", "u/x=f:stall", "")

		// A module that leaves while the storage is asked.
		b.stall = true
		w.announce("u/x", c115(t, "n", client("f:last")))
		log.Reset()
		w.c.Deactivate()
		synctest.Wait()
		w.want("deactivated", "", "")
		logged("deactivated", 0)
	})
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// TestTrim: what is stored is cut down every now and then.
func TestTrim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broken{Storage: caps.MemoryStorage()}
		w := newWorld(t, caps.Config{Only115: true, Storage: b})
		must(t, w.s.Send(t.Context(), presenceTo("room/me")))
		for n := range 501 {
			info := client(fmt.Sprint("f:", n))
			w.reply(fmt.Sprint("room/", n), reply{info: info})
			w.announce(fmt.Sprint("room/", n), c115(t, "n", info))
		}
		if got := strings.Count(b.take(), "trim 10000"); got != 3 {
			t.Errorf("%d times", got)
		}
	})
}

// TestShared: two streams with one storage, at the same time.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := caps.MemoryStorage()
		w := newWorld(t, caps.Config{Only115: true, Storage: storage})
		phone, err := xmpp.New(w.srv.Config("juliet"))
		must(t, err)
		c := caps.New(caps.Config{Storage: storage})
		must(t, errors.Join(disco.New(disco.Config{NoAutoFetch: true}).Activate(phone), c.Activate(phone), phone.Login(t.Context())))
		defer phone.Disconnect()
		synctest.Wait()
		w.count()
		a := client("f:a")
		w.reply("u", reply{info: a})
		w.announce("u/x", c115(t, "n", a))
		w.srv.Deliver(fmt.Sprintf("<presence from='%s' to='%s'>%s</presence>", full("u/x"), phone.MyJID(), c115(t, "n", a)))
		w.want("both", "u/x=f:a", "u/x "+node115(t, "n", a))
		if info, known := c.Known(jid("u/x")); !known || !info.Has("f:a") {
			t.Errorf("the other: %+v, %v", info, known)
		}
	})
}
