package caps_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// infoOf reads an answer.
func infoOf(t testing.TB, content string) *disco.Info {
	t.Helper()
	e, err := stanza.ParseElement("<query xmlns='http://jabber.org/protocol/disco#info'>" + content + "</query>")
	if err != nil {
		t.Fatal(err)
	}
	i, err := disco.ParseInfo(e)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func features(list ...string) string {
	var b strings.Builder
	for _, f := range list {
		b.WriteString("<feature var='" + f + "'/>")
	}
	return b.String()
}

const softwareinfo = `<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>`

var (
	// The examples of XEP-0115 section 5.2 and 5.3.
	exodus = "<identity category='client' type='pc' name='Exodus 0.9.1'/>" +
		features("http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/caps", "http://jabber.org/protocol/disco#info")
	psi = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>" +
		features("http://jabber.org/protocol/caps", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/muc") +
		softwareinfo + `<field var='software_version'><value>0.11</value></field><field var='ip_version'><value>ipv6</value><value>ipv4</value></field>
		<field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field></x>`
	// Those of XEP-0390 section 4.5.
	bombus = "<identity category='client' name='BombusMod' type='mobile'/>" + features("http://jabber.org/protocol/si", "http://jabber.org/protocol/bytestreams",
		"http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "urn:xmpp:ping",
		"jabber:iq:time", "jabber:iq:privacy", "jabber:iq:version", "http://jabber.org/protocol/rosterx", "urn:xmpp:time", "jabber:x:oob",
		"http://jabber.org/protocol/ibb", "http://jabber.org/protocol/si/profile/file-transfer", "urn:xmpp:receipts", "jabber:iq:roster", "jabber:iq:last")
	tkabber = "<identity category='client' name='Tkabber' type='pc' xml:lang='en'/><identity category='client' name='\u0422\u043a\u0430\u0431\u0431\u0435\u0440' type='pc' xml:lang='ru'/>" +
		features("games:board", "http://jabber.org/protocol/activity", "http://jabber.org/protocol/activity+notify", "http://jabber.org/protocol/bytestreams",
			"http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/commands", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
			"http://jabber.org/protocol/evil", "http://jabber.org/protocol/feature-neg", "http://jabber.org/protocol/geoloc", "http://jabber.org/protocol/geoloc+notify",
			"http://jabber.org/protocol/ibb", "http://jabber.org/protocol/iqibb", "http://jabber.org/protocol/mood", "http://jabber.org/protocol/mood+notify",
			"http://jabber.org/protocol/rosterx", "http://jabber.org/protocol/si", "http://jabber.org/protocol/si/profile/file-transfer", "http://jabber.org/protocol/tune",
			"http://www.facebook.com/xmpp/messages", "http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify", "jabber:iq:avatar", "jabber:iq:browse",
			"jabber:iq:dtcp", "jabber:iq:filexfer", "jabber:iq:ibb", "jabber:iq:inband", "jabber:iq:jidlink", "jabber:iq:last", "jabber:iq:oob", "jabber:iq:privacy",
			"jabber:iq:roster", "jabber:iq:time", "jabber:iq:version", "jabber:x:data", "jabber:x:event", "jabber:x:oob", "urn:xmpp:avatar:metadata+notify",
			"urn:xmpp:ping", "urn:xmpp:receipts", "urn:xmpp:time") +
		softwareinfo + `<field var='software'><value>Tkabber</value></field><field var='software_version'><value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field>
		<field var='os'><value>Windows</value></field><field var='os_version'><value>XP</value></field></x>`
)

func TestVectors115(t *testing.T) {
	for _, tt := range []struct{ name, info, input, ver string }{
		{"section 5.2", exodus, "client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<", "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"section 5.3", psi, "client/pc/el/\u03a8 0.11<client/pc/en/Psi 0.11<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<" +
			"urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<os<Mac<os_version<10.5.1<software<Psi<software_version<0.11<", "q07IKJEyjvHSyhy//CH0CxmKi8w="},
	} {
		i := infoOf(t, tt.info)
		if got := string(caps.Input115(i)); got != tt.input {
			t.Errorf("%s: %s", tt.name, got)
		}
		if got := caps.Hash115(i, "sha-1"); got.Value != tt.ver {
			t.Errorf("%s: %s", tt.name, got.Value)
		}
		got, n, err := caps.Verify([]caps.Hash{{NS: caps.NS, Algo: "sha-1", Value: tt.ver}}, i)
		if err != nil || n != 1 || string(caps.Input115(got)) != tt.input {
			t.Errorf("%s: %+v, %d, %v", tt.name, got, n, err)
		}
	}
}

func TestVectors390(t *testing.T) {
	for _, tt := range []struct {
		name, info     string
		octets         int
		sha256, sha3_2 string
	}{
		{"section 4.5.1", bombus, 473, "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=", "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q="},
		{"section 4.5.2", tkabber, 1347, "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=", "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg="},
	} {
		i := infoOf(t, tt.info)
		input, err := caps.Input390(i, true)
		if err != nil || len(input) != tt.octets {
			t.Errorf("%s: %d octets, %v", tt.name, len(input), err)
		}
		if a, b := caps.Sum("sha-256", input), caps.Sum("sha3-256", input); a != tt.sha256 || b != tt.sha3_2 {
			t.Errorf("%s: %s, %s", tt.name, a, b)
		}
		set := []caps.Hash{{NS: caps.NS2, Algo: "sha3-256", Value: tt.sha3_2}, {NS: caps.NS2, Algo: "sha-256", Value: tt.sha256}}
		got, n, err := caps.Verify(set, i)
		if err != nil || n != 2 {
			t.Fatalf("%s: %d, %v", tt.name, n, err)
		}
		if again, err := caps.Input390(got, true); err != nil || string(again) != string(input) {
			t.Errorf("%s: what is verified hashes to something else: %v", tt.name, err)
		}
	}
}

// TestVerify is XEP-0115 section 5.4 and XEP-0390 section 4.4 where an answer fits, and what is taken of it.
func TestVerify(t *testing.T) {
	i := infoOf(t, psi)
	h1, h2, h3 := caps.Hash115(i, "sha-1"), caps.Hash390(i, "sha-256"), caps.Hash390(i, "sha-512")
	wrong := caps.Hash115(infoOf(t, exodus), "sha-1")
	wrong2 := caps.Hash390(infoOf(t, exodus), "sha-256")
	for _, tt := range []struct {
		name string
		set  []caps.Hash
		n    int
		err  error
	}{
		{"all", []caps.Hash{h3, h2, h1}, 3, nil},
		{"sha-512 of XEP-0115", []caps.Hash{caps.Hash115(i, "sha-512")}, 1, nil},
		{"the other specification's does not fit", []caps.Hash{h2, wrong}, 1, nil},
		{"one of XEP-0390 does not fit", []caps.Hash{h3, wrong2, h1}, 0, caps.ErrMismatch},
		{"the first does not fit", []caps.Hash{wrong2, h1}, 0, caps.ErrMismatch},
		{"does not fit", []caps.Hash{wrong}, 0, caps.ErrMismatch},
	} {
		if _, n, err := caps.Verify(tt.set, i); n != tt.n || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d, %v", tt.name, n, err)
		}
	}

	// What is not hashed is not verified, so it is not kept: forms without a hidden FORM_TYPE, labels, options, items.
	decorated := infoOf(t, exodus+`<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'><value>urn:a</value></field><field var='evil'><value>1</value></field></x>
		<x xmlns='jabber:x:data' type='form'><title>evil</title><instructions>evil</instructions><field var='FORM_TYPE' type='hidden' label='evil'><value>urn:b</value></field>
		<field var='v' type='list-single' label='evil'><desc>evil</desc><required/><option label='evil'><value>evil</value></option><value>1</value></field>
		<reported><field var='evil'/></reported><item><field var='evil'><value>evil</value></field></item></x><evil xmlns='urn:evil'/>`)
	got, _, err := caps.Verify([]caps.Hash{caps.Hash115(decorated, "sha-1")}, decorated)
	if err != nil {
		t.Fatal(err)
	}
	if xml := stanza.Compact(got.Element()); strings.Contains(xml, "evil") || got.Form("urn:b").Value("v") != "1" || got.Foreign {
		t.Error(xml)
	}
	if _, _, err := caps.Verify([]caps.Hash{h2}, decorated); !errors.Is(err, caps.ErrMismatch) {
		t.Errorf("XEP-0390 with other elements: %v", err)
	}

	for what, content := range map[string]string{
		"another element": exodus + "<evil xmlns='urn:evil'/>", "a form without a type": exodus + "<x xmlns='jabber:x:data' type='result'/>",
		"items": exodus + strings.Replace(formXML("urn:t", []string{"a", "1"}), "</x>", "<item/></x>", 1), "reported": exodus + strings.Replace(formXML("urn:t", []string{"a", "1"}), "</x>", "<reported><field var='a'/></reported></x>", 1),
	} {
		if input, err := caps.Input390(infoOf(t, content), true); !errors.Is(err, caps.ErrIllFormed) {
			t.Errorf("XEP-0390 with %s: %q, %v", what, input, err)
		}
	}

	// The language around the answer counts for XEP-0390, unless the one who made the hash did not know of it; for XEP-0115 it does not.
	around := infoOf(t, exodus)
	plain := caps.Hash390(around, "sha-256")
	around.Lang = "en"
	lang := caps.Hash390(around, "sha-256")
	for _, h := range []caps.Hash{plain, lang, caps.Hash115(around, "sha-1")} {
		got, _, err := caps.Verify([]caps.Hash{h}, around)
		want := ""
		if h == lang {
			want = "en"
		}
		if err != nil || got.Identities[0].Lang != want || got.Lang != "" {
			t.Errorf("%v: %+v, %v", h, got, err)
		}
	}
	if plain == lang {
		t.Error("the language does not count")
	}
}

// TestParse is what is read of a presence.
func TestParse(t *testing.T) {
	const (
		c    = "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0=' hash='sha-1'/>"
		s256 = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="
		s3   = "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q="
	)
	long := strings.Repeat("x", 1025)
	hash := func(algo, value string) string {
		return "<hash xmlns='urn:xmpp:hashes:2' algo='" + algo + "'>" + value + "</hash>"
	}
	c2 := func(s ...string) string { return "<c xmlns='urn:xmpp:caps'>" + strings.Join(s, "") + "</c>" }
	for _, tt := range []struct{ name, xml, want string }{
		{"nothing", "", ""},
		{"XEP-0115", c, "caps sha-1 Qgay n/QgayPKawpkPSDYmwT/WM94uAlu0=/sha-1"},
		{"another prefix", "<q:c xmlns:q='http://jabber.org/protocol/caps' node='n' ver='v' ext='a b'/>", "n/v//a b"},
		{"attributes of another namespace", "<c xmlns='http://jabber.org/protocol/caps' xmlns:q='urn:q' q:hash='sha-1' node='n' ver='v'/>", "n/v/"},
		{"legacy", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='1.0' ext='a b'/>", "n/1.0//a b"},
		{"no ver", "<c xmlns='http://jabber.org/protocol/caps' node='n' hash='sha-1'/>", ""},
		{"no node", "<c xmlns='http://jabber.org/protocol/caps' ver='v'/>", ""},
		{"long", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='" + long + "' hash='sha-1'/>", ""},
		{"long ext", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' ext='" + long + "'/>", "n/v/"},
		{"unknown hash", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v' hash='md6'/>", "unknown n/v/md6"},
		{"no base64", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='!' hash='sha-1'/>", "unknown n/!/sha-1"},
		{"short hash", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='QgayPKawpkPSDQ==' hash='sha-1'/>", "unknown n/QgayPKawpkPSDQ==/sha-1"},
		{"XEP-0390", c2(hash("sha-256", s256), hash("sha3-256", " \n"+s3)), "urn:xmpp:caps sha3-256 79md urn:xmpp:caps sha-256 kzBZ"},
		{"both", c + c2(hash("sha-256", s256)), "urn:xmpp:caps sha-256 kzBZ caps sha-1 Qgay n/QgayPKawpkPSDYmwT/WM94uAlu0=/sha-1"},
		{"SHA-1 is too weak", c2(hash("sha-1", "QgayPKawpkPSDYmwT/WM94uAlu0=")), "unknown"},
		{"twice", c2(hash("sha-256", s256), hash("sha-256", s256)), "urn:xmpp:caps sha-256 kzBZ"},
		{"unknown beside", c + c2(hash("blake9", s256)), "caps sha-1 Qgay n/QgayPKawpkPSDYmwT/WM94uAlu0=/sha-1"},
		{"ten unknown before", c2(strings.Repeat(hash("x", "y"), 10), hash("sha-256", s256)), "unknown"},
		{"nine unknown before", c2(strings.Repeat(hash("x", "y"), 9), hash("sha-256", s256)), "urn:xmpp:caps sha-256 kzBZ"},
		{"no hashes", c2(), ""},
		{"hashes of another namespace", c2("<hash algo='sha-256'>" + s256 + "</hash>"), ""},
	} {
		e, err := stanza.ParseElement("<presence xmlns='jabber:client'>" + tt.xml + "</presence>")
		if err != nil {
			t.Fatal(err)
		}
		p, err := stanza.PresenceFrom(e)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		a, ok := caps.Parse(p)
		for _, h := range a.Hashes {
			parts = append(parts, strings.TrimPrefix(h.NS, "http://jabber.org/protocol/"), h.Algo, h.Value[:4])
		}
		if a.Unknown {
			parts = append(parts, "unknown")
		}
		if a.Node != "" {
			parts = append(parts, strings.TrimSuffix(a.Node+"/"+a.Ver+"/"+a.Algo+"/"+a.Ext, "/"))
		}
		if a.Node != "" && a.Ext == "" && a.Algo == "" {
			parts[len(parts)-1] = a.Node + "/" + a.Ver + "/"
		}
		if got := strings.Join(parts, " "); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}
