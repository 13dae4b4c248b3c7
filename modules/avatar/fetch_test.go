package avatar_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestFlood: many change at once. A few images are fetched at a time, and each once.
func TestFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.slow = 100 * time.Millisecond
		c := login(t, w, avatar.Config{Concurrency: 3})
		c.w.take()
		w.mu.Lock()
		w.top = 0
		for n := range 1000 {
			w.cards[fmt.Sprintf("contact%d@example.test", n)] = photoCard(pic(n % 100))
		}
		w.mu.Unlock()
		for n := range 1000 {
			c.srv.SendRaw(c.s.MyJID(), []byte(presence(fmt.Sprintf("contact%d@example.test/x", n), photo(hashOf(n%100)))))
		}
		start := time.Now()
		for c.heardLen() < 1000 && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
		}
		if got := strings.Count(c.heard.take(), "image:"); got != 1000 {
			t.Errorf("%d images", got)
		}
		if got := strings.Count(c.w.take(), "vcard:"); got != 100 || w.top != 3 {
			t.Errorf("%d requests, %d at the same time; want 100, 3", got, w.top)
		}
	})
}

func (c *client) heardLen() int {
	c.heard.mu.Lock()
	defer c.heard.mu.Unlock()
	return len(c.heard.list)
}

// TestFlights: who was asked for an image first may not have it, and then it is another's turn.
func TestFlights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.slow = time.Second
		w.set(w.cards, "mallory@example.test", photoCard(pic(6)))
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{})
		c.w.take()
		c.srv.SendRaw(c.s.MyJID(), []byte(presence("mallory@example.test/x", photo(hashOf(1)))))
		time.Sleep(w.slow / 2)
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("both", "vcard:mallory vcard:romeo", "failed:mallory1(avatar: the image is not the one that was announced) image:romeo1")
		// Several callers wait for one answer, and one of them does not wait for long.
		w.set(w.cards, "nurse@example.test", photoCard(pic(2)))
		c.srv.SendRaw(c.s.MyJID(), []byte(presence("nurse@example.test/x", photo(hashOf(2)))))
		time.Sleep(w.slow / 2)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := c.a.Photo(ctx, xmpp.MustParseJID("nurse@example.test")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		c.photo("nurse@example.test", 2, nil)
		c.want("one of two", "vcard:nurse", "image:nurse2")
	})
}

// TestFallback: what is not where it was announced may be where servers that convert put it.
func TestFallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{})
		c.w.take()
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(1), pic(1)))
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("no vCard", "vcard:romeo data:romeo", "image:romeo1")
		w.set(w.cards, "nurse@example.test", photoCard(pic(2)))
		c.hear(event("nurse@example.test", infoOf(pic(2))))
		c.want("no data", "data:nurse vcard:nurse", "image:nurse2")
		c.hear(event("tybalt@example.test", infoOf(pic(3))))
		c.want("nothing", "data:tybalt vcard:tybalt", "failed:tybalt3(avatar: no avatar: stanza error: item-not-found (cancel))")
	})
}

// TestURL: images at web addresses are for applications that want that.
func TestURL(t *testing.T) {
	remote := fmt.Sprintf("<info id='%s' type='image/png' bytes='9' url='https://example.test/1.png'/>", hashOf(1))
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{})
		c.w.take()
		c.hear(event("romeo@example.test", remote))
		c.want("without leave", "", "failed:romeo1(avatar: the image is at a web address only)")
		c.s.Disconnect()
		var got []string
		answer, fail := pic(1), error(nil)
		c = login(t, newWorld(converting...), avatar.Config{FetchURL: func(_ context.Context, url string, limit int) ([]byte, error) {
			got = append(got, fmt.Sprint(url, " ", limit))
			return answer, fail
		}, MaxBytes: 1000})
		c.w.take()
		c.hear(event("romeo@example.test", remote))
		c.want("with leave", "", "image:romeo1")
		answer = pic(2)
		c.hear(event("nurse@example.test", strings.ReplaceAll(remote, hashOf(1), hashOf(3))))
		c.want("another image", "", "failed:nurse3(avatar: the image is not the one that was announced)")
		fail = errors.New("404")
		c.hear(event("tybalt@example.test", strings.ReplaceAll(remote, hashOf(1), hashOf(4))))
		c.want("none", "", "failed:tybalt4(404)")
		// One that is at the node is preferred.
		c.w.set(c.w.nodes, "peter@example.test"+nodeData, dataItem(hashOf(5), pic(5)))
		c.hear(event("peter@example.test", remote+infoOf(pic(5))))
		c.want("both", "data:peter", "image:peter5")
		if want := "https://example.test/1.png 1000"; len(got) != 3 || got[0] != want {
			t.Error(got)
		}
	})
}

// TestSessions: a new session hears anew, a resumed one goes on; what was not fetched is fetched then.
func TestSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store := newWorld(converting...), avatar.MemoryStorage()
		w.slow = time.Second
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{Storage: store})
		c.w.take()
		c.srv.SendRaw(c.s.MyJID(), []byte(presence("romeo@example.test/x", photo(hashOf(1)))))
		time.Sleep(w.slow / 2)
		c.s.Disconnect() // before the image has come
		c.want("cut", "vcard:romeo", "")
		if err := c.s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.w.take()
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("the next session", "vcard:romeo", "image:romeo1")
		c.a.ReceiveSession(t.Context(), xmpp.SessionResumed)
		c.want("resumed", "", "")
		c.a.Deactivate()
		c.hear(presence("romeo@example.test/x", photo(hashOf(2))))
		c.want("off", "", "")
		if _, err := c.a.Photo(t.Context(), xmpp.MustParseJID("romeo@example.test")); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Error(err)
		}
		if err := c.a.Activate(c.s); err != nil {
			t.Fatal(err)
		}
		c.w.take()
		c.photo("romeo@example.test", 1, nil)
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("on again, from the storage", "", "")
	})
}

// TestInCallback: Photo may be called by whoever hears of a change, but not by what must not wait.
func TestInCallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{Fetch: avatar.FetchNobody})
		got := make(chan error, 1)
		c.a.AddDelegate(avatar.Delegate{Change: changeFunc(func(ctx context.Context, a *avatar.Avatar, ch avatar.Change) {
			_, err := a.Photo(ctx, ch.Of)
			got <- err
		})}, nil)
		inline := make(chan error, 1)
		c.s.AddInterceptor(xmpp.Interceptor{WillReceivePresence: func(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
			_, err := c.a.Photo(ctx, p.From())
			select {
			case inline <- errors.Join(err, c.a.Set(ctx, pic(1))):
			default:
			}
			return p
		}})
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		if err := <-got; err != nil {
			t.Error(err)
		}
		if err := <-inline; !errors.Is(err, xmpp.ErrInInterceptor) {
			t.Error(err)
		}
	})
}

type changeFunc func(context.Context, *avatar.Avatar, avatar.Change)

func (f changeFunc) AvatarDidChange(ctx context.Context, a *avatar.Avatar, c avatar.Change) {
	f(ctx, a, c)
}

// TestReg_AnswerOvertaken: what is heard while somebody is asked is newer than the answer, which does not undo it.
func TestReg_AnswerOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		w.slow = time.Second
		c := login(t, w, avatar.Config{})
		c.w.take()
		// during sends to the client while the answer to what x makes it ask is on its way.
		during := func(x func(), xml string) {
			x()
			time.Sleep(w.slow / 2)
			c.hear(xml)
		}
		heard := func(xml string) func() { return func() { c.srv.SendRaw(c.s.MyJID(), []byte(xml)) } }
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(0), pic(0)))
		c.hear(event("romeo@example.test", infoOf(pic(0))))
		c.want("the first", "data:romeo", "image:romeo0")
		w.set(w.nodes, "romeo@example.test"+nodeData, dataItem(hashOf(2), pic(2)))
		w.set(w.nodes, "romeo@example.test"+nodeMeta, metaItem(infoOf(pic(0))))
		during(heard(presence("romeo@example.test/x", photo(hashOf(2)))), event("romeo@example.test", infoOf(pic(2))))
		c.want("another one", "metadata:romeo data:romeo", "image:romeo2")
		c.photo("romeo@example.test", 2, nil)
		w.set(w.nodes, "romeo@example.test"+nodeMeta, metaItem(infoOf(pic(2))))
		during(heard(presence("romeo@example.test/x", photo(""))), event("romeo@example.test", ""))
		c.want("none", "metadata:romeo", "none:romeo")
		c.photo("romeo@example.test", 0, avatar.ErrNoAvatar)

		w.set(w.nodes, "nurse@example.test"+nodeData, dataItem(hashOf(2), pic(2)))
		w.set(w.nodes, "nurse@example.test"+nodeMeta, metaItem(infoOf(pic(1))))
		during(func() { go c.photo("nurse@example.test", 2, nil) }, event("nurse@example.test", infoOf(pic(2))))
		c.want("Photo", "metadata:nurse data:nurse", "image:nurse2")
		w.set(w.cards, "tybalt@example.test", photoCard(pic(1)))
		during(func() { go c.photo("tybalt@example.test", 0, avatar.ErrNoAvatar) }, presence("tybalt@example.test/x", photo("")))
		c.want("Photo of a vCard", "metadata:tybalt vcard:tybalt", "")
	})
}
