package avatar_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
)

// hostile are images that are not what was announced, or more than may be.
var hostile = []struct {
	name string
	data []byte // what the server hands out
	hash string // what was announced
	err  error
}{
	{"another image", pic(2), hashOf(1), avatar.ErrHash},
	{"nothing", []byte{}, hashOf(1), nil}, // any error
	{"SVG", []byte("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), "", avatar.ErrType},
	{"SVG with a declaration", []byte("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"), "", avatar.ErrType},
	{"HTML", []byte("<!DOCTYPE html><img src=x onerror=alert(1)>"), "", avatar.ErrType},
	{"TIFF", []byte("II*\x00aaaaaaaaaaaa"), "", avatar.ErrType},
	{"a byte too many", append(pic(1), make([]byte, 256<<10)...), "", avatar.ErrTooBig},
	{"1 MiB", append(pic(1), make([]byte, 1<<20)...), "", avatar.ErrTooBig},
}

// TestSec_FILE08: the avatars of others.
func TestSec_FILE08(t *testing.T) {
	for _, tt := range hostile {
		hash := tt.hash
		if hash == "" {
			hash = avatar.Hash(tt.data)
		}
		check := func(t *testing.T, c *client, of string) {
			t.Helper()
			if got := c.heard.take(); !strings.HasPrefix(got, "failed:") || strings.Contains(got, "image:") || tt.err != nil && !strings.Contains(got, tt.err.Error()) {
				t.Errorf("told: %s", got)
			}
			if img, err := c.a.Photo(t.Context(), xmpp.MustParseJID(of)); img != nil || err == nil || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("Photo: %v, %v; want %v", img, err, tt.err)
			}
		}
		t.Run("vCard, "+tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(converting...)
				w.set(w.cards, "mallory@example.test", photoCard(tt.data))
				c := login(t, w, avatar.Config{})
				c.hear(presence("mallory@example.test/x", photo(hash)))
				check(t, c, "mallory@example.test")
				if n := len(tt.data); tt.hash == "" && n > 0 { // the same without an announcement
					w.set(w.cards, "tybalt@example.test", photoCard(tt.data))
					if img, err := c.a.Photo(t.Context(), xmpp.MustParseJID("tybalt@example.test")); img != nil || !errors.Is(err, tt.err) {
						t.Errorf("Photo: %v, %v; want %v", img, err, tt.err)
					}
				}
			})
		})
		t.Run("PEP, "+tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(converting...)
				w.set(w.nodes, "mallory@example.test"+nodeData, dataItem(hash, tt.data))
				c := login(t, w, avatar.Config{})
				c.hear(event("mallory@example.test", fmt.Sprintf("<info id='%s' type='image/png' bytes='100'/>", hash)))
				check(t, c, "mallory@example.test")
			})
		})
	}
}

// TestSec_FILE08_Announced: what is announced as too large, or in no way to be had, is not asked for.
func TestSec_FILE08_Announced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := login(t, newWorld(converting...), avatar.Config{})
		c.w.take()
		for n, bytes := range []string{"262145", "52428800", "99999999999999999999"} {
			c.hear(event(fmt.Sprintf("mallory%d@example.test", n), fmt.Sprintf("<info id='%s' type='image/png' bytes='%s'/>", hashOf(n), bytes)))
			if got, want := c.heard.take(), fmt.Sprintf("failed:mallory%d%d(%v)", n, n, avatar.ErrTooBig); got != want {
				t.Errorf("%s bytes: %s, want %s", bytes, got, want)
			}
		}
		if got := c.w.take(); got != "" {
			t.Error("asked", got)
		}
		// What makes no sense is no avatar.
		for _, infos := range []string{
			"<info type='image/png' bytes='1'/>", "<info id='../../etc/passwd' type='image/png' bytes='1'/>", "<info id='" + strings.Repeat("a", 41) + "' bytes='1'/>",
			"<info xmlns='other' id='" + hashOf(1) + "'/>", "<pointer/>", strings.Repeat("<info id='x'/>", 1000),
		} {
			c.hear(event("tybalt@example.test", infos))
		}
		c.hear(strings.Replace(event("tybalt@example.test", infoOf(pic(1))), "<metadata xmlns='urn:xmpp:avatar:metadata'>", "<metadata xmlns='urn:xmpp:avatar:metadata:2'>", 1))
		c.want("nonsense", "", "")
		// The smaller one of two is taken, and of many no more than some are looked at.
		c.w.set(c.w.nodes, "peter@example.test"+nodeData, dataItem(hashOf(5), pic(5)))
		c.hear(event("peter@example.test", strings.Replace(infoOf(pic(4)), "bytes='", "bytes='99999999", 1)+infoOf(pic(5))))
		c.want("two", "data:peter", "image:peter5")
	})
}

// TestSec_FILE08_Base64: long base64 is not decoded.
func TestSec_FILE08_Base64(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		big := make([]byte, 5<<20)
		copy(big, pic(1))
		w.set(w.nodes, "mallory@example.test"+nodeData, dataItem(avatar.Hash(big), big))
		c := login(t, w, avatar.Config{MaxBytes: 1000})
		c.w.take()
		c.hear(event("mallory@example.test", fmt.Sprintf("<info id='%s' type='image/png' bytes='100'/>", avatar.Hash(big))))
		c.want("5 MiB", "data:mallory", fmt.Sprintf("failed:mallory%s(%v)", short(avatar.Hash(big)), avatar.ErrTooBig))
		// Line breaks are no reason to refuse it.
		lines := ""
		for i, r := range b64(pic(2)) {
			if lines += string(r); i%20 == 19 {
				lines += "\r\n "
			}
		}
		w.set(w.nodes, "nurse@example.test"+nodeData, item(hashOf(2), "data", nodeData, lines))
		c.hear(event("nurse@example.test", infoOf(pic(2))))
		c.want("lines", "data:nurse", "image:nurse2")
		w.set(w.nodes, "tybalt@example.test"+nodeData, item(hashOf(3), "data", nodeData, "!!!!"))
		c.hear(event("tybalt@example.test", infoOf(pic(3))))
		if got := c.heard.take(); !strings.HasPrefix(got, "failed:tybalt3("+avatar.ErrType.Error()) {
			t.Error("no base64:", got)
		}
	})
}

// TestSec_FILE08_Header: a header may claim what it likes, nothing is decoded here.
func TestSec_FILE08_Header(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bomb := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x75\x30\x00\x00\x75\x30\x08\x06\x00\x00\x00")
		w := newWorld(converting...)
		w.set(w.cards, "mallory@example.test", photoCard(bomb))
		c := login(t, w, avatar.Config{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.hear(presence("mallory@example.test/x", photo(avatar.Hash(bomb))))
		runtime.ReadMemStats(&after)
		if got := c.heard.take(); got != "image:mallory"+short(avatar.Hash(bomb)) {
			t.Error(got)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 10<<20 {
			t.Errorf("%d bytes for %d", n, len(bomb))
		}
	})
}

// TestSec_ORG09: an avatar is told by the one whose it is.
func TestSec_ORG09(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(converting...)
		c := login(t, w, avatar.Config{})
		c.w.take()
		for of := range map[string]bool{"": true, "romeo@example.test": true, "mallory@example.test": true} {
			w.set(w.cards, of, photoCard(pic(1)))
			w.set(w.nodes, of+nodeData, dataItem(hashOf(1), pic(1)))
		}
		infos := infoOf(pic(1))
		for name, xml := range map[string]string{
			"an event of a client":                   event("romeo@example.test/orchard", infos),
			"an event of another client of ours":     event("juliet@example.test/other", infos),
			"an event of a service":                  event("pubsub.example.test", infos),
			"an event of the domain":                 event("example.test", infos),
			"an event that came back":                strings.Replace(event("romeo@example.test", infos), "headline", "error", 1),
			"an event in a room":                     strings.Replace(event("room@muc.example.test", infos), "headline", "groupchat", 1),
			"an event of another node":               strings.Replace(event("romeo@example.test", infos), "node='urn:xmpp:avatar:metadata'", "node='urn:xmpp:avatar:data'", 1),
			"presence that is quoted":                presence("romeo@example.test/x", "<forwarded xmlns='urn:xmpp:forward:0'>"+presence("romeo@example.test/x", photo(hashOf(1)))+"</forwarded>"),
			"an update of another namespace":         presence("romeo@example.test/x", strings.Replace(photo(hashOf(1)), "x:update", "x:update2", 1)),
			"a photo of another namespace":           presence("romeo@example.test/x", update("<photo xmlns='other'>"+hashOf(1)+"</photo>")),
			"presence without a sender":              "<presence>" + photo(hashOf(1)) + "</presence>",
			"presence of the own account, no client": presence("juliet@example.test", photo("")),
		} {
			c.hear(xml)
			c.want(name, "", "")
		}
		// Whatever is written in it, it is about the sender.
		c.hear(strings.Replace(event("mallory@example.test", infos), "<item id='x'>", "<item id='x' publisher='romeo@example.test' jid='romeo@example.test'>", 1))
		c.want("an event about another", "data:mallory", "image:mallory1")
	})
}

// TestSec_FILE08_Storage: what is in the storage is not believed more than what comes from elsewhere.
func TestSec_FILE08_Storage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store := newWorld(converting...), avatar.MemoryStorage()
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		account, romeo := xmpp.MustParseJID("juliet@example.test"), xmpp.MustParseJID("romeo@example.test")
		bad := &avatar.Image{Hash: hashOf(1), Type: "image/png", Data: []byte("<svg/>")}
		if err := store.Save(t.Context(), account, avatar.Record{Of: romeo, Hash: hashOf(1), Source: avatar.SourceVCard, Fetched: true, Updated: time.Now()}, bad); err != nil {
			t.Fatal(err)
		}
		c := login(t, w, avatar.Config{Storage: store})
		c.w.take()
		c.photo("romeo@example.test", 1, nil)
		c.want("another image", "vcard:romeo", "")
	})
}
