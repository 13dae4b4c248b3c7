package muclight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
)

// rows are the messages of a room, as a storage has them.
func rows(t *testing.T, s muc.Storage, room xmpp.JID) (out []muc.StoredMessage) {
	t.Helper()
	must(t, s.Messages(t.Context(), juliet, room, muc.Query{}, func(m muc.StoredMessage) error { out = append(out, m); return nil }))
	return out
}

// TestStorage: what is stored, and what is not unless it is asked for.
func TestStorage(t *testing.T) {
	checkGoroutines(t)
	for _, all := range []bool{false, true} {
		store := muc.MemoryStorage()
		e, peer := act(t, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true, Storage: store, StoreChanges: all, WithoutBody: all})
		e.inject(t, peer, told(affNS, versions("", "1")+user(juliet, "member"))+
			said(room+"/hag@example.test", "<body>Hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/>")+
			said(room+"/hag@example.test", "<body>Hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/>")+ // the same again
			strings.Replace(said(room+"/juliet@example.test", "<body>Ho</body>"), "m1", "m2", 1)+
			strings.Replace(said(room+"/hag@example.test", "<active xmlns='http://jabber.org/protocol/chatstates'/>"), "m1", "m3", 1)+
			strings.Replace(told(confNS, versions("1", "2")+"<subject>s</subject>"), "n1", "n2", 1)+
			"<message from='hag@example.test/x' type='groupchat' id='f'><body>forged</body></message>"+
			said("other@muclight.test/hag@example.test", "<body>there</body>"))
		must(t, e.m.Flush(t.Context()))
		var got []string
		for _, m := range rows(t, store, coven) {
			got = append(got, fmt.Sprintf("%s/%s %s %s%v %q", m.Nick, m.RealJID, m.ID, m.OriginID, m.Own, m.Body))
			if time.Since(m.Time).Abs() > time.Minute || m.Time.Location() != time.UTC || !strings.HasPrefix(m.XML, "<message ") {
				t.Errorf("stored %+v", m)
			}
		}
		want := []string{`hag@example.test/hag@example.test m1 ofalse "Hi"`, `juliet@example.test/juliet@example.test m2 true "Ho"`}
		if all {
			want = []string{`/ n1 false ""`, want[0], want[1], `hag@example.test/hag@example.test m3 false ""`, `/ n2 false ""`}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("all=%v: stored\n%s\nwant\n%s", all, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := rows(t, store, xmpp.MustParseJID("other@muclight.test")); len(got) != 1 || got[0].Body != "there" {
			t.Errorf("the other room: %+v", got)
		}
	}
}

// weak is a storage that fails when it is told to.
type weak struct {
	muc.Storage
	mu    sync.Mutex
	err   error
	calls int
}

func (w *weak) Append(ctx context.Context, account, room xmpp.JID, list []muc.StoredMessage) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls++; w.err != nil {
		return 0, w.err
	}
	return w.Storage.Append(ctx, account, room, list)
}

func (w *weak) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// TestRel_StorageFails: the stream goes on, one is told once, and nothing is lost of what fits.
func TestRel_StorageFails(t *testing.T) {
	checkGoroutines(t)
	full := errors.New("disk full")
	store := &weak{Storage: muc.MemoryStorage(), err: full}
	e, peer := act(t, muclight.Config{Storage: store})
	e.m.Room(coven)
	say := func(n int) string {
		return strings.Replace(said(room+"/hag@example.test", fmt.Sprint("<body>", n, "</body>")), "m1", fmt.Sprint("m", n), 1)
	}
	e.inject(t, peer, say(1))
	err := e.m.Flush(t.Context())
	if se := (*muc.StorageError)(nil); !errors.Is(err, full) || !errors.As(err, &se) || se.Room != coven || se.Account != juliet || se.Op != "append" {
		t.Errorf("Flush: %v", err)
	}
	e.inject(t, peer, say(2))
	_ = e.m.Flush(t.Context())
	store.fail(nil)
	must(t, e.m.Flush(t.Context()))
	if got := rows(t, store, coven); len(got) != 2 || got[0].Body != "1" || got[1].Body != "2" {
		t.Errorf("stored %+v", got)
	}
	store.fail(full)
	got := e.inject(t, peer, say(3))
	_ = e.m.Flush(t.Context())
	got += e.take(t)
	if strings.Count(got, "not stored: muc: storage: append: disk full") != 1 {
		t.Errorf("heard %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store.mu.Lock() // it hangs
	e.inject(t, peer, say(4))
	if err := e.m.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush, ended: %v", err)
	}
	var b strings.Builder
	for n := range 10_050 {
		b.WriteString(say(n + 5))
	}
	got = e.inject(t, peer, b.String())
	store.mu.Unlock()
	if strings.Contains(got, "too slow") { // it was told of a failure before
		t.Errorf("told twice: %.200s", got)
	}
	store.fail(nil)
	_ = e.m.Flush(t.Context())
	must(t, e.m.Flush(t.Context()))
	if n := len(rows(t, store, coven)); n != 10_002 {
		t.Errorf("%d messages are stored", n)
	}
}
