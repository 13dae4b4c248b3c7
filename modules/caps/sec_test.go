package caps_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
)

// formXML is a form as somebody answers it: values by name.
func formXML(formType string, fields ...[]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>%s</value></field>", formType)
	for _, f := range fields {
		fmt.Fprintf(&b, "<field var='%s'>", f[0])
		for _, v := range f[1:] {
			fmt.Fprintf(&b, "<value>%s</value>", v)
		}
		b.WriteString("</field>")
	}
	return b.String() + "</x>"
}

// poison is a hostile answer to a hash that fits it, or another one.
type poison struct {
	name   string
	answer string
	heard  string // of the one who answers so, "a" standing for it
	other  bool   // it is announced with the hash of something else
}

// illFormed are refused altogether (CAP-09).
var illFormed = []poison{
	{name: "two identical identities", answer: client("f:a") + "<identity category='client' type='pc'/>", heard: "a!ill-formed"},
	{name: "two identical features", answer: client("f:a", "f:b", "f:a"), heard: "a!ill-formed"},
	{name: "two forms of one type", answer: client("f:a") + formXML("urn:t", []string{"a", "1"}) + formXML("urn:t", []string{"a", "2"}), heard: "a!ill-formed"},
	{name: "two forms of one type, the same", answer: client("f:a") + formXML("urn:t", []string{"a", "1"}) + formXML("urn:t", []string{"a", "1"}), heard: "a!ill-formed"},
	{name: "two values of FORM_TYPE", answer: client("f:a") + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:t</value><value>urn:u</value></field></x>", heard: "a!ill-formed"},
	{name: "two fields FORM_TYPE", answer: client("f:a") + formXML("urn:t", []string{"FORM_TYPE", "urn:u"}), heard: "a!ill-formed"},
	{name: "a < in a feature", answer: client("f:a&lt;f:b"), heard: "a!ill-formed"},
	{name: "a < in an identity", answer: "<identity category='client' type='pc' name='x&lt;f:a'/>", heard: "a!ill-formed"},
	{name: "a < in a category", answer: "<identity category='client/pc//x&lt;client' type='pc'/>", heard: "a!ill-formed"},
	{name: "a < in the name of a field", answer: client("f:a") + formXML("urn:t", []string{"a&lt;1", "2"}), heard: "a!ill-formed"},
	{name: "a < in a value", answer: client("f:a") + formXML("urn:t", []string{"a", "1&lt;b&lt;2"}), heard: "a!ill-formed"},
	{name: "a < in FORM_TYPE", answer: client("f:a") + formXML("urn:t&lt;a", []string{"b", "2"}), heard: "a!ill-formed"},
}

// ownOnly count for the one who answers so.
var ownOnly = []poison{
	{name: "another answer", answer: client("f:a"), heard: "a=f:a", other: true},
	{name: "one feature more", answer: exodus + features("f:more"), heard: "a=http://jabber.org/protocol/muc+http://jabber.org/protocol/disco#items+http://jabber.org/protocol/caps+http://jabber.org/protocol/disco#info+f:more", other: true},
	{name: "nothing", answer: "", heard: "a=", other: true},
	{name: "features of another namespace", answer: strings.ReplaceAll(strings.ReplaceAll(exodus, "<feature", "<q:feature"), "<q:feature ", "<q:feature xmlns:q='urn:q' "), heard: "a=", other: true},
}

// twins are answers that hash to the same by XEP-0115: what one is, and what somebody makes of it.
var twins = []struct{ name, honest, fake string }{
	{"features become a form", client("http://a", "urn:x:1", "urn:x:2"), client("http://a") + formXML("urn:x:1", []string{"urn:x:2"})},
	{"features become a form with a value", client("http://a", "urn:x:1", "urn:x:2", "urn:x:3"), client("http://a") + formXML("urn:x:1", []string{"urn:x:2", "urn:x:3"})},
	{"features that are no URIs become a form", client("http://a", "v1", "v2", "v3"), client("http://a") + formXML("v1", []string{"v2", "v3"})},
	{"all features become a form", client("a", "b", "c"), client() + formXML("a", []string{"b", "c"})},
	{"a feature becomes an empty form", client("http://a", "urn:x:1"), client("http://a") + formXML("urn:x:1")},
	{"a feature becomes the type of the form behind it", client("http://a", "urn:x:1") + formXML("urn:y", []string{"os", "unix"}), client("http://a") + formXML("urn:x:1", []string{"urn:y", "os", "unix"})},
	{"the identity becomes a feature", "<identity category='client' type='pc' name='B'/>" + features("http://a"), features("client/pc//B", "http://a")},
	{"one of two identities becomes a feature", "<identity category='client' type='pc' name='B' xml:lang='de'/><identity category='client' type='pc' name='A' xml:lang='en'/>" + features("http://a"),
		"<identity category='client' type='pc' name='B' xml:lang='de'/>" + features("client/pc/en/A", "http://a")},
	{"the identity becomes a form", client("a", "b"), formXML("client/pc//", []string{"a", "b"})},
	{"one of two identities becomes a form", "<identity category='client' type='pc'/><identity category='client' type='web'/>" + features("a", "b"), client() + formXML("client/web//", []string{"a", "b"})},
	{"a feature becomes an identity", client("http://a/b/c", "urn:x"), "<identity category='client' type='pc'/><identity category='http:' type='' xml:lang='a' name='b/c'/>" + features("urn:x")},
}

// poisoned announces what c says as a, which answers so, and then as b, which answers honestly: it must be asked, and be what it says.
func poisoned(t *testing.T, w *world, p poison, c, honest, heardHonest string) {
	t.Helper()
	time.Sleep(61 * time.Second) // nobody is asked too often
	w.reply("a", reply{info: p.answer})
	w.reply("b", reply{info: honest})
	w.announce("a/x", c)
	if _, heard := w.count2(); len(heard) != 1 || strings.Replace(heard[0], "a/x", "a", 1) != p.heard {
		t.Errorf("%s: heard %q, want %q", p.name, heard, p.heard)
	}
	w.announce("b/x", c)
	if n, heard := w.count2(); n != 1 || len(heard) != 1 || heard[0] != "b/x="+heardHonest {
		t.Errorf("%s: the next was asked %d times; heard %q", p.name, n, heard)
	}
	w.announce("b/y", c)
	if n, heard := w.count2(); n != 0 || len(heard) != 1 {
		t.Errorf("%s: the third was asked %d times; heard %q", p.name, n, heard)
	}
	for _, u := range []string{"a/x", "b/x", "b/y"} {
		w.leave(u)
	}
}

// count2 is count with what was heard.
func (w *world) count2() (asked int, heard []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, heard = len(w.asked), w.heard
	w.asked, w.heard = nil, nil
	return asked, heard
}

func heardOf(t *testing.T, content string) string {
	return strings.Join(infoOf(t, content).Features, "+")
}

// TestSec_ORG20 is what XEP-0115 sections 5.4 and 9.3 warn of: answers that are made to stand for the capabilities of others.
func TestSec_ORG20(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, caps.Config{Storage: caps.MemoryStorage()})
		for _, p := range illFormed {
			// The hash is that of the answer itself, as far as anything hashes to it: whoever announces it is refused.
			time.Sleep(61 * time.Second)
			w.reply("a", reply{info: p.answer})
			for _, c := range []string{c115(t, "n", p.answer), c390(t, p.answer, "sha-256"), "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' hash='md6'/>"} {
				w.announce("a/x", c)
				w.want(p.name, "a/x!ill-formed", w.whoWasAsked())
				w.supports(jid("a/x"), "f:a", "?")
				if _, err := w.c.Fetch(t.Context(), jid("a/x")); !errors.Is(err, caps.ErrIllFormed) {
					t.Errorf("%s: Fetch: %v", p.name, err)
				}
				w.leave("a/x")
				w.count()
			}
		}
		if _, _, _, _, cached := w.c.Sizes(); cached != 0 {
			t.Errorf("%d ill-formed ones are kept", cached)
		}
		for i, p := range ownOnly {
			honest := exodus + features(fmt.Sprint("f:", i)) // a hash that nobody knows yet
			for _, c := range []string{c115(t, "n", honest), c390(t, honest+features("f:390"), "sha-256")} {
				h := honest
				if strings.Contains(c, "urn:xmpp:caps") {
					h += features("f:390")
				}
				poisoned(t, w, p, c, h, heardOf(t, h))
			}
		}
		for _, x := range twins {
			h, f := infoOf(t, x.honest), infoOf(t, x.fake)
			if string(caps.Input115(h)) != string(caps.Input115(f)) {
				t.Fatalf("%s: %s and %s", x.name, caps.Input115(h), caps.Input115(f))
			}
			if caps.Ambiguous(h) || caps.Hash390(h, "sha-256") == caps.Hash390(f, "sha-256") {
				t.Errorf("%s: the honest one counts as a fake, or XEP-0390 does not tell them apart", x.name)
			}
			poisoned(t, w, poison{name: x.name, answer: x.fake, heard: "a=" + heardOf(t, x.fake)}, c115(t, "n", x.honest), x.honest, heardOf(t, x.honest))
		}
		for _, real := range []string{exodus, psi, bombus, tkabber, features("f:no-identity")} {
			if caps.Ambiguous(infoOf(t, real)) {
				t.Errorf("%s counts as a fake", real)
			}
		}

		// An answer from somebody else is none.
		time.Sleep(61 * time.Second)
		a := client("f:forged")
		w.reply("a", reply{info: a, from: full("evil/x")})
		w.announce("a/x", c115(t, "n", a))
		w.want("from another address", "", "a/x "+node115(t, "n", a))
		for _, from := range []string{full("a"), full("a/y"), w.s.MyJID().Bare().String(), w.srv.Domain().String()} {
			w.reply("b", reply{info: a, from: from})
			w.announce("b/x", c115(t, "n", a+features("f:"+strings.ToLower(from))))
			w.want("from "+from, "", w.whoWasAsked())
			w.leave("b/x")
		}
		time.Sleep(31 * time.Second)
		w.want("in the end", "a/x!timeout", "")

		// So is one about another node, and one that is too big.
		big := client() + strings.Repeat("<feature var='f:a'/>", disco.MaxFeatures+1)
		w.reply("a", reply{info: big})
		w.announce("a/x", c115(t, "n", client("f:big")))
		w.want("too big", "a/x!big", w.whoWasAsked())

		// The same hash in another spelling of base64 is the same hash.
		honest := client("f:spelling")
		ver := caps.Hash115(infoOf(t, honest), "sha-1").Value
		w.reply("a", reply{info: honest})
		w.announce("a/x", fmt.Sprintf("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='%s'/>", ver))
		w.announce("b/x", fmt.Sprintf("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver=' %s '/>", ver))
		w.want("spelling", "a/x=f:spelling; b/x=f:spelling", "a/x n#"+ver)
	})
}

// whoWasAsked is that list, without forgetting it.
func (w *world) whoWasAsked() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.asked, "; ")
}

// TestSec_DoS01: whoever announces hash after hash makes the client ask a few of them, and remember a few.
func TestSec_DoS01(t *testing.T) {
	hash := func(n int) string {
		return fmt.Sprintf("<c xmlns='http://jabber.org/protocol/caps' node='n' ver='%027d=' hash='sha-1'/>", n)
	}
	// deliver sends presence without waiting for what it leads to.
	deliver := func(w *world, short, content string) {
		w.srv.Deliver(fmt.Sprintf("<presence from='%s' to='%s'>%s</presence>", full(short), w.s.MyJID(), content))
	}
	t.Run("one address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			w.reply("evil", reply{silent: true})
			for n := range 5000 {
				deliver(w, "evil/x", hash(n))
			}
			synctest.Wait()
			if n, _, groups, queue, _ := w.c.Sizes(); n != 1 || groups > 1+caps.MaxAskingOne || queue > 1+caps.MaxAskingOne {
				t.Errorf("%d entities, %d hashes, %d wait", n, groups, queue)
			}
			if _, asked := w.count(); asked > caps.MaxAskingOne {
				t.Errorf("asked %d times", asked)
			}
		})
	})
	t.Run("one contact", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			w.reply("evil", reply{info: client("f:evil"), after: 10 * time.Millisecond}) // quick, and wrong
			for n := range 5000 {
				deliver(w, fmt.Sprint("evil/", n%200), hash(n))
			}
			time.Sleep(20 * time.Second)
			if n, contacts, groups, _, _ := w.c.Sizes(); n != caps.MaxPerContact || contacts != 1 || groups > n {
				t.Errorf("%d entities, %d contacts, %d hashes", n, contacts, groups)
			}
			if _, asked := w.count(); asked > caps.MaxAsksInMinute || w.mostOne > caps.MaxAskingOne {
				t.Errorf("asked %d times, %d at once", asked, w.mostOne)
			}
			// The others are not kept waiting by it.
			a := client("f:a")
			w.reply("romeo", reply{info: a})
			w.announce("romeo/x", c115(t, "n", a))
			w.want("somebody else", "romeo/x=f:a", "romeo/x "+node115(t, "n", a))
			// What was too often is made up for with a later presence.
			time.Sleep(2 * time.Minute)
			w.reply("evil", reply{info: a})
			w.count()
			w.announce("evil/63", "<show>away</show>")
			if _, asked := w.count(); asked != 0 {
				t.Errorf("asked %d times", asked)
			}
		})
	})
	t.Run("later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			for n := range caps.MaxAsksInMinute + 1 {
				info := client(fmt.Sprint("f:", n))
				w.reply(fmt.Sprint("busy/", n), reply{info: info})
				w.announce(fmt.Sprint("busy/", n), c115(t, "n", info))
			}
			last := fmt.Sprint("busy/", caps.MaxAsksInMinute)
			if heard, asked := w.count(); heard != caps.MaxAsksInMinute || asked != heard {
				t.Errorf("asked %d times, heard %d", asked, heard)
			}
			w.announce(last, c115(t, "n", client(fmt.Sprint("f:", caps.MaxAsksInMinute))))
			if heard, asked := w.count(); heard+asked != 0 {
				t.Errorf("asked %d times, heard %d", asked, heard)
			}
			time.Sleep(61 * time.Second)
			w.announce(last, c115(t, "n", client(fmt.Sprint("f:", caps.MaxAsksInMinute))))
			if heard, asked := w.count(); heard != 1 || asked != 1 {
				t.Errorf("asked %d times, heard %d", asked, heard)
			}
		})
	})
	t.Run("many contacts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			before := runtime.NumGoroutine()
			for n := range 2000 {
				w.reply(fmt.Sprint("u", n), reply{silent: true})
				deliver(w, fmt.Sprintf("u%d/x", n), hash(n))
			}
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n > caps.MaxAsking {
				t.Errorf("%d more goroutines", n)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if _, asked := w.count(); asked > 3*caps.MaxAsking {
				t.Errorf("%d asked in a minute, by 30 s each", asked)
			}
		})
	})
	t.Run("a room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			must(t, w.s.Send(t.Context(), presenceTo("room/me")))
			synctest.Wait()
			for n := range 1000 {
				info := client(fmt.Sprint("f:", n%40))
				w.reply(fmt.Sprint("room/", n), reply{info: info, after: time.Second})
				deliver(w, fmt.Sprint("room/", n), c115(t, "n", info))
			}
			time.Sleep(15 * time.Second)
			if heard, asked := w.count(); heard != 1000 || asked != 40 || w.mostOne != caps.MaxAskingRoom {
				t.Errorf("asked %d, %d at once, heard %d", asked, w.mostOne, heard)
			}
			if n, _, groups, queue, _ := w.c.Sizes(); n != 1000 || groups != 40 || queue != 0 {
				t.Errorf("%d occupants, %d hashes, %d wait", n, groups, queue)
			}
		})
	})
	t.Run("strangers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, quiet)
			must(t, (&roster{known: true}).Activate(w.s))
			for n := range 2 * caps.MaxStrangers {
				deliver(w, fmt.Sprintf("u%d/x", n), hash(n))
				deliver(w, fmt.Sprintf("evil/%d", n), hash(n))
			}
			synctest.Wait()
			n, contacts, _, queue, _ := w.c.Sizes()
			if _, asked := w.count(); n != caps.MaxStrangers || contacts != n-caps.MaxPerStranger+1 || queue != 0 || asked != 0 {
				t.Errorf("%d entities, %d contacts, %d wait, asked %d", n, contacts, queue, asked)
			}
			for n := range 2 * caps.MaxStrangers {
				w.srv.Deliver(fmt.Sprintf("<presence type='unavailable' from='%s' to='%s'/>", full(fmt.Sprintf("u%d/x", n)), w.s.MyJID()))
			}
			w.leave("evil")
			deliver(w, "u0/x", hash(0))
			synctest.Wait()
			if n, contacts, groups, _, _ := w.c.Sizes(); n != 1 || contacts != 1 || groups != 1 {
				t.Errorf("%d entities, %d contacts, %d hashes", n, contacts, groups)
			}
		})
	})
	t.Run("the table", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, caps.Config{Only115: true})
			a := client("f:a")
			w.reply("u0", reply{info: a})
			w.announce("u0/x", c115(t, "n", a))
			for n := range caps.MaxEntities {
				if n == caps.MaxEntities/2 {
					synctest.Wait()
					w.count()
				}
				deliver(w, fmt.Sprintf("u%d/y", n), c115(t, "n", a))
			}
			synctest.Wait()
			if n, contacts, groups, _, _ := w.c.Sizes(); n != caps.MaxEntities || contacts != n || groups != 1 {
				t.Errorf("%d entities, %d contacts, %d hashes", n, contacts, groups)
			}
			w.supports(jid("u0/x"), "f:a", "?") // the one heard of longest ago
			w.supports(jid("u0/y"), "f:a", "yes")
		})
	})
	t.Run("hashes", func(t *testing.T) {
		c := caps.New(caps.Config{})
		h := func(n int) caps.Hash { return caps.Hash{NS: caps.NS, Algo: "sha-1", Value: fmt.Sprint(n)} }
		small := infoOf(t, client("f:a"))
		for n := range caps.MaxCached + 10 {
			c.Put(h(n), small)
			c.Cached(h(0))
		}
		if _, _, _, _, n := c.Sizes(); n != caps.MaxCached || c.Cached(h(0)) == nil || c.Cached(h(1)) != nil || c.Cached(h(10)) != nil || c.Cached(h(11)) == nil {
			t.Errorf("%d are kept, or the wrong ones", n)
		}
		big := infoOf(t, client(strings.Repeat("x", 50<<10)))
		for n := range 1000 {
			c.Put(h(-n-1), big)
		}
		if c.CachedBytes() > 16<<20 || c.CachedBytes() < 15<<20 || c.Cached(h(-1000)) == nil {
			t.Errorf("%d bytes", c.CachedBytes())
		}
		c.Put(h(1<<30), infoOf(t, client(strings.Repeat("x", 65<<10))))
		if c.Cached(h(1<<30)) != nil {
			t.Error("one that is too big is kept")
		}
	})
}
