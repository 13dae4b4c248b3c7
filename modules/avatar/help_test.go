package avatar_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines = testkit.Goroutines

// bubble runs f in a bubble of its own time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	checkGoroutines(t)
	synctest.Test(t, f)
}

// pic is the n-th picture. Only its beginning is one.
func pic(n int) []byte {
	return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x40\x00\x00\x00\x20"), fmt.Sprint(n)...)
}

func hashOf(n int) string { return avatar.Hash(pic(n)) }

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// photoCard is a vCard with a picture in it.
func photoCard(data []byte) string {
	return "<vCard xmlns='vcard-temp'><FN>x</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>" + b64(data) + "</BINVAL></PHOTO></vCard>"
}

// infoOf announces a picture.
func infoOf(data []byte) string {
	return fmt.Sprintf("<info id='%s' type='image/png' bytes='%d'/>", avatar.Hash(data), len(data))
}

// item is an item with a payload in the namespace of its node.
func item(id, name, ns, inner string) string {
	return fmt.Sprintf("<item id='%s'><%s xmlns='%s'>%s</%s></item>", id, name, ns, inner, name)
}

func metaItem(infos string) string {
	return item("x", "metadata", avatar.NSMetadata, infos)
}

func dataItem(hash string, data []byte) string {
	return item(hash, "data", avatar.NSData, b64(data))
}

// presence is that of a client of somebody, with what it says about an avatar.
func presence(from, update string) string {
	return "<presence from='" + from + "'>" + update + "</presence>"
}

func update(inner string) string { return "<x xmlns='vcard-temp:x:update'>" + inner + "</x>" }
func photo(hash string) string   { return update("<photo>" + hash + "</photo>") }

// event tells of published metadata.
func event(from, infos string) string {
	return "<message from='" + from + "' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:avatar:metadata'>" + metaItem(infos) + "</items></event></message>"
}

// world is what the server knows: it answers for all accounts.
type world struct {
	mu       sync.Mutex
	features []string          // of the own account
	cards    map[string]string // vCards by address; "" is the own one
	nodes    map[string]string // items by address and node
	said     []string          // what was asked, and presence
	refuse   string            // what is refused, by a part of what is said
	slow     time.Duration     // how long an answer takes
	now, top int               // requests under way, and at most
}

// pepOnly and so on are what servers announce.
var (
	publishing = []string{"http://jabber.org/protocol/pubsub#publish", "http://jabber.org/protocol/pubsub#publish-options"}
	converting = append([]string{avatar.FeatureConversion}, publishing...)
)

func newWorld(features ...string) *world {
	return &world{slow: time.Millisecond, features: features, cards: map[string]string{}, nodes: map[string]string{}}
}

func (w *world) note(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, s)
}

// settle waits for a dozen answers, one after another.
func (w *world) settle() {
	time.Sleep(12 * w.slow)
	synctest.Wait()
}

// take returns what was asked and what presence was sent, and forgets it.
func (w *world) take() string {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.said, " ")
	w.said = nil
	return s
}

func (w *world) set(m map[string]string, key, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m[key] = value; value == "" {
		delete(m, key)
	}
}

// handle is an [xmpptest.Handler].
func (w *world) handle(from xmpp.JID, e *etree.Element, send func(string)) bool {
	if e.Tag == "presence" {
		w.note("presence(" + shown(e) + ")")
		return false
	}
	var payload *etree.Element
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		payload = c
		break
	}
	if e.Tag != "iq" || e.SelectAttrValue("type", "") == "result" {
		return false
	}
	to := e.SelectAttrValue("to", "")
	if to == from.Bare().String() {
		to = ""
	}
	result, ok := w.answer(to, e.SelectAttrValue("type", ""), payload)
	if !ok {
		return false
	}
	answer := fmt.Sprintf("<iq id='%s' type='result'", e.SelectAttrValue("id", ""))
	if result == "" || strings.HasPrefix(result, "!") {
		answer = fmt.Sprintf("<iq id='%s' type='error'", e.SelectAttrValue("id", ""))
		result = "<error type='cancel'><" + cmp.Or(strings.TrimPrefix(result, "!"), "item-not-found") + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	}
	if to != "" {
		answer += " from='" + to + "'"
	}
	w.mu.Lock()
	w.now++
	w.top = max(w.top, w.now)
	slow := w.slow
	w.mu.Unlock()
	time.AfterFunc(slow, func() {
		w.mu.Lock()
		w.now--
		w.mu.Unlock()
		send(answer + ">" + result + "</iq>")
	})
	return true
}

// shown is what a presence says about an avatar.
func shown(e *etree.Element) string {
	var out []string
	for x := range stanza.Children(e, "x", avatar.NSUpdate) {
		switch c := stanza.Child(x, "photo", avatar.NSUpdate); {
		case c == nil:
			out = append(out, "?")
		case stanza.Text(c) == "":
			out = append(out, "none")
		default:
			out = append(out, short(stanza.Text(c)))
		}
	}
	return strings.Join(out, ",")
}

// short is the name of one of the pictures of pic.
func short(hash string) string {
	for n := range 20 {
		if hashOf(n) == hash {
			return fmt.Sprint("#", n)
		}
	}
	return fmt.Sprintf("%.6s", hash)
}

func (w *world) answer(to, typ string, p *etree.Element) (result string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := strings.SplitN(to, "@", 2)[0]
	switch {
	case stanza.Is(p, "query", "http://jabber.org/protocol/disco#info") && to == "":
		result = "<query xmlns='http://jabber.org/protocol/disco#info'>"
		for _, f := range append([]string{"http://jabber.org/protocol/pubsub"}, w.features...) {
			result += "<feature var='" + f + "'/>"
		}
		return result + "</query>", true
	case stanza.Is(p, "vCard", "vcard-temp") && typ == "get":
		return cmp.Or(w.say("vcard:"+name), w.cards[to]), true
	case stanza.Is(p, "vCard", "vcard-temp"):
		if refusal := w.say("set-vcard:" + short(avatar.Hash(photoOf(p)))); refusal != "" {
			return refusal, true
		}
		w.cards[to] = stanza.Compact(p)
		return "<x xmlns='x'/>", true
	case stanza.Is(p, "pubsub", "http://jabber.org/protocol/pubsub"):
		return w.pubsub(to, name, p), true
	}
	return "", false
}

// say notes what is asked, and refuses it if it is to be refused. The lock is held.
func (w *world) say(what string) (refusal string) {
	w.said = append(w.said, what)
	if w.refuse != "" && strings.Contains(what, w.refuse) {
		return "!not-allowed"
	}
	return ""
}

func photoOf(card *etree.Element) []byte {
	data, _ := stanza.DecodeBase64(stanza.Text(stanza.Child(stanza.Child(card, "PHOTO", "vcard-temp"), "BINVAL", "vcard-temp")))
	return data
}

func (w *world) pubsub(to, name string, p *etree.Element) string {
	const ns = "http://jabber.org/protocol/pubsub"
	c := stanza.Child(p, stanza.Any, ns)
	node := c.SelectAttrValue("node", "")
	last := node[strings.LastIndex(node, ":")+1:]
	first := stanza.Child(c, "item", ns)
	id := stanza.AttrOr(first, "id", "")
	switch c.Tag {
	case "publish":
		if refusal := w.say("publish:" + last + ":" + short(id)); refusal != "" {
			return refusal
		}
		w.nodes[to+node] = stanza.Compact(first)
	case "retract":
		if refusal := w.say("retract:" + last + ":" + short(id)); refusal != "" {
			return refusal
		}
		delete(w.nodes, to+node)
	case "items":
		refusal := w.say(last + ":" + name)
		if refusal != "" || w.nodes[to+node] == "" {
			return refusal
		}
		return "<pubsub xmlns='" + ns + "'><items node='" + node + "'>" + w.nodes[to+node] + "</items></pubsub>"
	}
	return "<x xmlns='x'/>"
}

// heard is what delegates heard.
type heard struct {
	mu   sync.Mutex
	list []string
}

func (h *heard) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, fmt.Sprintf(format, args...))
}

func (h *heard) take() string {
	synctest.Wait()
	return h.now()
}

func (h *heard) now() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.list)
	s := strings.Join(h.list, " ")
	h.list = nil
	return s
}

func (h *heard) AvatarDidChange(_ context.Context, _ *avatar.Avatar, c avatar.Change) {
	what := "noted"
	switch {
	case c.Hash == "":
		what = "none"
	case c.Image != nil && (c.Image.Hash != c.Hash || avatar.Hash(c.Image.Data) != c.Hash):
		what = "WRONG"
	case c.Image != nil:
		what = "image"
	}
	of := c.Of.Local()
	if c.Occupant {
		of = c.Of.String()
	}
	h.note("%s:%s%s", what, of, strings.TrimPrefix(short(c.Hash), "#"))
}

func (h *heard) AvatarDidFailToFetch(_ context.Context, _ *avatar.Avatar, of xmpp.JID, hash string, err error) {
	h.note("failed:%s%s(%v)", of.Local(), strings.TrimPrefix(short(hash), "#"), err)
}

func (h *heard) AvatarDidFailToStore(_ context.Context, _ *avatar.Avatar, err *avatar.StorageError) {
	h.note("not stored(%s: %v)", err.Op, err.Err)
}

// client is a stream with the module, logged in to a world.
type client struct {
	t     *testing.T
	w     *world
	srv   *xmpptest.Server
	s     *xmpp.Stream
	a     *avatar.Avatar
	heard *heard
}

// keeper stands for modules/roster.
type keeper struct {
	xmpp.ModuleBase
	mu       sync.Mutex
	contacts map[string]bool // nil: nothing is known yet
	kept     map[string]string
}

func (r *keeper) Name() string { return "roster" }
func (r *keeper) Activate(s *xmpp.Stream) error {
	return r.Attach(s, r, nil)
}
func (r *keeper) SharesPresence(with xmpp.JID) (yes, known bool) {
	return r.contacts[with.Local()], r.contacts != nil
}
func (r *keeper) KeepAvatar(of xmpp.JID, hash string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = map[string]string{}
	}
	r.kept[of.String()] = hash
}

func (r *keeper) hash(of string) string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return short(r.kept[of])
}

// login makes a client, and forgets what its login has said.
func login(t *testing.T, w *world, cfg avatar.Config, with ...xmpp.Module) *client {
	t.Helper()
	srv := xmpptest.NewServer(t, xmpptest.WithHandler(w.handle), xmpptest.WithTimeout(100*time.Hour))
	s, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, w: w, srv: srv, s: s, a: avatar.New(cfg), heard: new(heard)}
	c.a.AddDelegate(avatar.Delegate{Change: c.heard, Fetch: c.heard, Storage: c.heard}, nil)
	for _, m := range append(with, c.a) {
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Disconnect)
	return c
}

// hear sends XML to the client and waits until nothing happens any more.
func (c *client) hear(xml ...string) {
	c.t.Helper()
	for _, x := range xml {
		c.srv.SendRaw(c.s.MyJID(), []byte(x))
	}
	c.w.settle()
}

// want compares what was asked and what was told.
func (c *client) want(what, asked, told string) {
	c.t.Helper()
	if got := c.w.take(); got != asked {
		c.t.Errorf("%s: asked %q, want %q", what, got, asked)
	}
	if got := c.heard.take(); got != told {
		c.t.Errorf("%s: told %q, want %q", what, got, told)
	}
}

func (c *client) photo(of string, want int, wantErr error) {
	c.t.Helper()
	var j xmpp.JID
	if of != "" {
		j = xmpp.MustParseJID(of)
	}
	img, err := c.a.Photo(c.t.Context(), j)
	switch {
	case wantErr != nil && err == nil:
		c.t.Errorf("the avatar of %q: %s", of, short(img.Hash))
	case err != nil:
		if !matches(err, wantErr) {
			c.t.Errorf("the avatar of %q: %v, want %v", of, err, wantErr)
		}
	case img.Hash != hashOf(want) || string(img.Data) != string(pic(want)) || img.Type != "image/png":
		c.t.Errorf("the avatar of %q: %s, want #%d", of, short(img.Hash), want)
	}
}
