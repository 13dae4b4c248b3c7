package caps_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var must = testkit.Must

// reply is what one of the others does when it is asked.
type reply struct {
	info   string        // the content of the answer
	err    string        // the condition of an error instead
	silent bool          // nothing at all
	from   string        // who answers in its place
	after  time.Duration // how long that takes
	lang   string        // of the answer
}

// world is juliet with the module, on a server where others have accounts at others.test, and what all of them say. It is made in a bubble,
// which ends with no goroutine left.
type world struct {
	t   *testing.T
	srv *xmpptest.Server
	s   *xmpp.Stream
	d   *disco.Disco
	c   *caps.Caps

	mu       sync.Mutex
	replies  map[string]reply // by full address, or bare for all of it
	asked    []string         // "address node"
	open     map[string]int   // bare address → questions under way
	most     int              // at the same time
	mostOne  int              // to one bare address
	heard    []string         // by the delegate
	presence []*etree.Element // that juliet has sent
	server   int              // how often the server was asked
}

// quiet leaves XEP-0390 out, so that hashes in tests are those of XEP-0115.
var quiet = caps.Config{Only115: true}

func newWorld(t *testing.T, cfg caps.Config, opts ...xmpptest.Option) *world {
	t.Helper()
	w := offline(t, cfg, opts...)
	must(t, w.s.Login(t.Context()))
	synctest.Wait()
	return w
}

// offline is newWorld before juliet logs in.
func offline(t *testing.T, cfg caps.Config, opts ...xmpptest.Option) *world {
	t.Helper()
	w := &world{t: t, replies: make(map[string]reply), open: make(map[string]int)}
	w.srv = xmpptest.NewServer(t, append(opts, xmpptest.WithTimeout(48*time.Hour), xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.Tag == "presence" {
			w.presence = append(w.presence, e.Copy())
		}
		if stanza.Child(e, "query", disco.NSInfo) != nil && stanza.AttrOr(e, "to", "") == "example.test" {
			w.server++
		}
		return false
	}))...)
	w.srv.HandleDomain("others.test", w.others)
	s, err := xmpp.New(w.srv.Config("juliet"))
	must(t, err)
	w.s, w.d, w.c = s, disco.New(disco.Config{NoAutoFetch: true, Name: "Balcony"}), caps.New(cfg)
	w.c.AddDelegate(w, nil)
	must(t, w.d.Activate(s))
	must(t, w.c.Activate(s))
	t.Cleanup(s.Disconnect)
	return w
}

func (w *world) CapsDidDiscover(_ context.Context, _ *caps.Caps, of xmpp.JID, info *disco.Info) {
	w.note("%s=%s", of, strings.Join(info.Features, "+"))
}

func (w *world) CapsDidNotDiscover(_ context.Context, _ *caps.Caps, of xmpp.JID, err error) {
	name := fmt.Sprintf("(%v)", err)
	for _, x := range []error{caps.ErrIllFormed, caps.ErrUnanswered, xmpp.ErrIQTimeout, stanza.ItemNotFound, stanza.ServiceUnavailable, disco.ErrMalformed, disco.ErrTooBig} {
		if errors.Is(err, x) {
			name = map[error]string{caps.ErrIllFormed: "ill-formed", xmpp.ErrIQTimeout: "timeout", disco.ErrMalformed: "malformed", disco.ErrTooBig: "big"}[x]
			if name == "" {
				name = x.Error()
			}
		}
	}
	w.note("%s!%s", of, name)
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, strings.ReplaceAll(fmt.Sprintf(format, args...), "@others.test", ""))
}

// others plays everybody at others.test.
func (w *world) others(e *etree.Element) {
	typ := stanza.AttrOr(e, "type", "")
	if e.Tag != "iq" || typ != "get" {
		return
	}
	to, from, id := stanza.AttrOr(e, "to", ""), stanza.AttrOr(e, "from", ""), stanza.AttrOr(e, "id", "")
	bare, _, _ := strings.Cut(to, "/")
	node := stanza.AttrOr(stanza.Child(e, "query", disco.NSInfo), "node", "")
	w.mu.Lock()
	w.asked = append(w.asked, strings.TrimSpace(strings.ReplaceAll(to, "@others.test", "")+" "+node))
	r, ok := w.replies[to]
	if !ok {
		r = w.replies[bare]
	}
	w.open[bare]++
	all := 0
	for _, n := range w.open {
		all += n
	}
	w.most, w.mostOne = max(w.most, all), max(w.mostOne, w.open[bare])
	w.mu.Unlock()
	if r.silent {
		return
	}
	time.AfterFunc(r.after, func() {
		w.mu.Lock()
		w.open[bare]--
		w.mu.Unlock()
		if r.from != "" {
			to = r.from
		}
		xml := fmt.Sprintf("<query xmlns='http://jabber.org/protocol/disco#info' node='%s'>%s</query>", node, r.info)
		kind := "result"
		if r.err != "" {
			kind, xml = "error", "<error type='cancel'><"+r.err+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		}
		if r.lang != "" {
			kind += "' xml:lang='" + r.lang
		}
		w.srv.Deliver(fmt.Sprintf("<iq type='%s' id='%s' from='%s' to='%s'>%s</iq>", kind, id, to, from, xml))
	})
}

// full is the address of one of the others, short as in "romeo/a".
func full(short string) string {
	user, resource, ok := strings.Cut(short, "/")
	if !ok {
		return user + "@others.test"
	}
	return user + "@others.test/" + resource
}

func jid(short string) xmpp.JID { return xmpp.MustParseJID(full(short)) }

func (w *world) reply(short string, r reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies[full(short)] = r
}

// announce is presence of one of the others.
func (w *world) announce(short, content string) {
	w.srv.Deliver(fmt.Sprintf("<presence from='%s' to='%s'>%s</presence>", full(short), w.s.MyJID(), content))
	synctest.Wait()
}

// leave is its end.
func (w *world) leave(short string) {
	w.srv.Deliver(fmt.Sprintf("<presence type='unavailable' from='%s' to='%s'/>", full(short), w.s.MyJID()))
	synctest.Wait()
}

// want compares what was heard, and who was asked, with what should be; both are forgotten then.
func (w *world) want(what, heard, asked string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.heard, "; "); got != heard {
		w.t.Errorf("%s: heard %q, want %q", what, got, heard)
	}
	if got := strings.Join(w.asked, "; "); got != asked {
		w.t.Errorf("%s: asked %q, want %q", what, got, asked)
	}
	w.heard, w.asked = nil, nil
}

// count is how much was heard, and how often somebody was asked; both are forgotten then.
func (w *world) count() (heard, asked int) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	heard, asked = len(w.heard), len(w.asked)
	w.heard, w.asked = nil, nil
	return heard, asked
}

// askedServer is how often the server was asked; that is forgotten then.
func (w *world) askedServer() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.server
	w.server = 0
	return n
}

// supports compares what is known.
func (w *world) supports(of xmpp.JID, feature, want string) {
	w.t.Helper()
	yes, known := w.c.Supports(of, feature)
	if got := map[[2]bool]string{{true, true}: "yes", {false, true}: "no", {false, false}: "?"}[[2]bool{yes, known}]; got != want {
		w.t.Errorf("%v supports %s: %q, want %q", of, feature, got, want)
	}
}

// sent are the presences that juliet has sent, as XML; they are forgotten then.
func (w *world) sent() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, e := range w.presence {
		stanza.RemoveAttr(e, "from")
		out = append(out, stanza.Compact(e))
	}
	w.presence = nil
	return out
}

// client is what a client with such features answers.
func client(list ...string) string {
	return "<identity category='client' type='pc'/>" + features(list...)
}

// c115 is what somebody announces who answers so.
func c115(t testing.TB, node, info string) string {
	h := caps.Hash115(infoOf(t, info), "sha-1")
	return fmt.Sprintf("<c xmlns='http://jabber.org/protocol/caps' hash='%s' node='%s' ver='%s'/>", h.Algo, node, h.Value)
}

// node115 is where it is asked.
func node115(t testing.TB, node, info string) string {
	return node + "#" + caps.Hash115(infoOf(t, info), "sha-1").Value
}

func c390(t testing.TB, info string, algos ...string) string {
	var b strings.Builder
	for _, algo := range algos {
		fmt.Fprintf(&b, "<hash xmlns='urn:xmpp:hashes:2' algo='%s'>%s</hash>", algo, caps.Hash390(infoOf(t, info), algo).Value)
	}
	return "<c xmlns='urn:xmpp:caps'>" + b.String() + "</c>"
}

func node390(t testing.TB, info, algo string) string {
	return "urn:xmpp:caps#" + algo + "." + caps.Hash390(infoOf(t, info), algo).Value
}

// presenceTo is available presence for one of the others.
func presenceTo(short string) *stanza.Presence {
	return stanza.NewPresence(stanza.Available, jid(short))
}
