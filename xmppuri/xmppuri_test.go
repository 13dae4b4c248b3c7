package xmppuri_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/xmppuri"
)

// Example asks before it acts: the URI may come from anywhere.
func Example() {
	u, err := xmppuri.Parse("xmpp:coven@chat.example?join;password=cauldron")
	if err != nil {
		fmt.Println(err)
		return
	}
	if u.Action == xmppuri.Join {
		fmt.Printf("enter %s, with the password %q?\n", u.JID, u.Get("password"))
	}
	fmt.Println(u.Redacted()) // for logs
	// Output:
	// enter coven@chat.example, with the password "cauldron"?
	// xmpp:coven@chat.example?join;password=
}

func ExampleURI_String() {
	u := &xmppuri.URI{JID: jid.MustParse("juliet@example.com"), Action: xmppuri.Message, Params: []xmppuri.Param{{Key: "body", Value: "Good night; good night!"}}}
	fmt.Println(u)
	// Output: xmpp:juliet@example.com?message;body=Good%20night%3B%20good%20night%21
}

func ExampleParseInvitation() {
	inv, err := xmppuri.ParseInvitation("xmpp:juliet@example.com?roster;preauth=1tMFqYDdKhfe2pwp;ibr=y;name=Juliet")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s wants to be a contact; account at %s: %t\n", inv.JID, inv.Server(), inv.NewAccount)
	fmt.Println(inv)
	// Output:
	// juliet@example.com wants to be a contact; account at example.com: true
	// xmpp:juliet@example.com?roster;preauth=;ibr=;name=
}

func params(kv ...string) (out []xmppuri.Param) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, xmppuri.Param{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

func uri(account, address, action, fragment string, p []xmppuri.Param) *xmppuri.URI {
	u := &xmppuri.URI{Action: action, Params: p, Fragment: fragment}
	if account != "" {
		u.Account = jid.MustParse(account)
	}
	if address != "" {
		u.JID = jid.MustParse(address)
	}
	return u
}

// TestParse is RFC 5122 section 2 with the examples there, and XEP-0147 section 2. written is what String makes, if it is not the same.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    *xmppuri.URI
		written string
	}{
		{"xmpp:node@example.com", uri("", "node@example.com", "", "", nil), ""},
		{"xmpp:example.com", uri("", "example.com", "", "", nil), ""},
		{"XMPP:Node@Example.COM", uri("", "node@example.com", "", "", nil), "xmpp:node@example.com"},
		{"xmpp://guest@example.com", uri("guest@example.com", "", "", "", nil), ""},
		{"xmpp://guest@example.com/", uri("guest@example.com", "", "", "", nil), "xmpp://guest@example.com"},
		{"xmpp:guest@example.com", uri("", "guest@example.com", "", "", nil), ""},
		{"xmpp://guest@example.com/support@example.com?message", uri("guest@example.com", "support@example.com", "message", "", nil), ""},
		{"xmpp://guest@example.com/support@example.com/truth?message", uri("guest@example.com", "support@example.com/truth", "message", "", nil), ""},
		{"xmpp://guest@example.com?roster", uri("guest@example.com", "", "roster", "", nil), ""},
		{"xmpp:example-node@example.com/some-resource", uri("", "example-node@example.com/some-resource", "", "", nil), ""},
		{"xmpp:support@example.com?message;subject=Hello%20World", uri("", "support@example.com", "message", "", params("subject", "Hello World")), ""},
		{`xmpp:nasty!%23$%25()*+,-.;=%3F%5B%5C%5D%5E_%60%7B%7C%7D~node@example.com`, uri("", "nasty!#$%()*+,-.;=?[\\]^_`{|}~node@example.com", "", "", nil), ""},
		{`xmpp:node@example.com/repulsive%20!%23%22$%25&'()*+,-.%2F:;%3C=%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~resource`,
			uri("", "node@example.com/repulsive !#\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~resource", "", "", nil), ""},
		{"xmpp:ji%C5%99i@%C4%8Dechy.example/v%20Praze", uri("", "jiři@čechy.example/v Praze", "", "", nil), ""},
		{"xmpp:jiři@čechy.example", uri("", "jiři@čechy.example", "", "", nil), "xmpp:ji%C5%99i@%C4%8Dechy.example"},
		{"xmpp:u@[::1]/r", uri("", "u@[::1]/r", "", "", nil), ""},
		{"xmpp:romeo%40montague.net", uri("", "romeo@montague.net", "", "", nil), "xmpp:romeo@montague.net"},
		{"xmpp:example.com/a/b@c", uri("", "example.com/a/b@c", "", "", nil), "xmpp:example.com/a%2Fb%40c"},
		{"xmpp:a@example.com?disco;node=x;type=get;request=items", uri("", "a@example.com", "disco", "", params("node", "x", "type", "get", "request", "items")), ""},
		{"xmpp:a@example.com?roster;group=A;name=B;group=C", uri("", "a@example.com", "roster", "", params("group", "A", "name", "B", "group", "C")), ""},
		{"xmpp:a@example.com?message;body=a%3Bb%3Dc%26d%0Ae", uri("", "a@example.com", "message", "", params("body", "a;b=c&d\ne")), ""},
		{"xmpp:a@example.com?message;body=a=b+c", uri("", "a@example.com", "message", "", params("body", "a=b+c")), "xmpp:a@example.com?message;body=a%3Db%2Bc"},
		{"xmpp:a@example.com?x;flag;;k=", uri("", "a@example.com", "x", "", params("flag", "", "k", "")), "xmpp:a@example.com?x;flag=;k="},
		{"xmpp:a@example.com?;k=v", uri("", "a@example.com", "", "", params("k", "v")), ""},
		{"xmpp:a@example.com?", uri("", "a@example.com", "", "", nil), "xmpp:a@example.com"},
		{"xmpp:a@example.com?x#frag?;%23", uri("", "a@example.com", "x", "frag?;#", nil), ""},
		{"xmpp:a@example.com#", uri("", "a@example.com", "", "", nil), "xmpp:a@example.com"},
	} {
		u, err := xmppuri.Parse(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if !reflect.DeepEqual(u, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.in, *u, *tt.want)
		}
		if want := tt.written; u.String() != want && (want != "" || u.String() != tt.in) {
			t.Errorf("%s is written as %s", tt.in, u)
		}
	}
}

// TestSec_URI: what is no URI, or too much of one.
func TestSec_URI(t *testing.T) {
	many := "xmpp:a@example.com?x" + strings.Repeat(";k=v", xmppuri.MaxParams)
	if _, err := xmppuri.Parse(many); err != nil {
		t.Error(err)
	}
	for name, in := range map[string]string{
		"empty": "", "scheme only": "xmpp:", "scheme": "xmpp", "other scheme": "http://example.com", "no address": "xmpp:?join",
		"no host": "xmpp:a@", "no local": "xmpp:@example.com", "no resource": "xmpp:a@example.com/", "no account": "xmpp://", "server as account": "xmpp://example.com/a@example.com",
		"account with resource": "xmpp://a%2Fb@example.com", "slash in localpart": "xmpp:romeo%2Fx@example.com", "slash in domain": "xmpp:a@example.com%2Fx",
		"percent": "xmpp:a@example.com?x;k=%", "percent 2": "xmpp:a@example.com?x;k=%4", "percent 3": "xmpp:a@example.com?x;k=%zz", "UTF-8": "xmpp:a@example.com?x;k=%ff",
		"raw UTF-8": "xmpp:a@example.com?x;k=\xff", "space": "xmpp:a@example.com?x;k=a b", "line": "xmpp:a@example.com\n", "control": "xmpp:a@example.com?x;k=\x7f",
		"two at": "xmpp:a@b@example.com", "encoded at": "xmpp:a@b%40example.com", "too many": many + ";k=v",
		"too long": "xmpp:a@example.com?x;k=" + strings.Repeat("x", xmppuri.MaxBytes), "too long when written": "xmpp:a@example.com?x;k=" + strings.Repeat("ř", xmppuri.MaxBytes/3),
	} {
		u, err := xmppuri.Parse(in)
		if !errors.Is(err, xmppuri.ErrInvalid) || u != nil {
			t.Errorf("%s: %v, %v", name, u, err)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	if _, err := xmppuri.Parse("xmpp:a b@example.com?x;preauth=SECRET"); strings.Contains(err.Error(), "SECRET") {
		t.Error(err)
	}
	if _, err := xmppuri.Parse("xmpp:a%20b@example.com?x;preauth=SECRET"); !errors.Is(err, jid.ErrInvalid) || strings.Contains(err.Error(), "SECRET") {
		t.Error(err)
	}
}

func TestGet(t *testing.T) {
	u, err := xmppuri.Parse("xmpp:a@example.com?roster;group=A;name=;group=B")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := u.Lookup("name"); !ok || u.Get("group") != "A" || u.Get("x") != "" {
		t.Error("Get or Lookup")
	}
	if got := fmt.Sprint(u.All("group"), u.All("x") == nil); got != "[A B] true" {
		t.Error(got)
	}
	var none *xmppuri.URI
	if _, ok := none.Lookup("x"); ok || none.String() != "" || none.Redacted() != "" || none.All("x") != nil {
		t.Error("a nil URI")
	}
	var text xmppuri.URI
	if err := text.UnmarshalText([]byte(u.String())); err != nil || !reflect.DeepEqual(&text, u) {
		t.Error(text, err)
	}
	if err := text.UnmarshalText([]byte("x")); err == nil || !reflect.DeepEqual(text, xmppuri.URI{}) {
		t.Error(text, err)
	}
	if b, err := u.MarshalText(); err != nil || string(b) != u.String() {
		t.Error(string(b), err)
	}
}

// TestInvitation is XEP-0379 section 3.2, XEP-0401 section 3 and XEP-0445 section 3.
func TestInvitation(t *testing.T) {
	contact := xmppuri.Invitation{JID: jid.MustParse("juliet@example.com"), Contact: true, Token: "t=;1", NewAccount: true, Name: "J C", Groups: []string{"a", "b"}}
	for in, want := range map[string]xmppuri.Invitation{
		"xmpp:example.com?register;preauth=T":                                              {JID: jid.MustParse("example.com"), Token: "T", NewAccount: true},
		"xmpp:juliet@example.com?register;preauth=T":                                       {JID: jid.MustParse("juliet@example.com"), Token: "T", NewAccount: true},
		"xmpp:juliet@example.com?roster;preauth=T":                                         {JID: jid.MustParse("juliet@example.com"), Contact: true, Token: "T"},
		"xmpp:juliet@example.com?roster;preauth=t%3D%3B1;ibr=y;name=J%20C;group=a;group=b": contact,
	} {
		got, err := xmppuri.ParseInvitation(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
		if s := got.URI().String(); s != in {
			t.Errorf("%s is written as %s", in, s)
		}
	}
	for _, in := range []string{
		"xmpp:example.com?register", "xmpp:example.com?register;preauth=", "xmpp:example.com?roster;preauth=T", "xmpp:juliet@example.com?join;preauth=T",
		"xmpp:juliet@example.com/x?roster;preauth=T", "xmpp://juliet@example.com?roster;preauth=T", "mailto:x",
	} {
		if got, err := xmppuri.ParseInvitation(in); !errors.Is(err, xmppuri.ErrInvalid) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	account := func(in, name string) string {
		inv, err := xmppuri.ParseInvitation(in)
		if err != nil {
			t.Fatal(err)
		}
		j, err := inv.Account(name)
		if err != nil {
			if !errors.Is(err, xmppuri.ErrInvalid) && !errors.Is(err, jid.ErrInvalid) {
				t.Error(err)
			}
			return "no"
		}
		return j.String()
	}
	for _, tt := range [][3]string{
		{"xmpp:example.com?register;preauth=T", "Romeo", "romeo@example.com"},
		{"xmpp:example.com?register;preauth=T", "", "no"},
		{"xmpp:example.com?register;preauth=T", "a b", "no"},
		{"xmpp:juliet@example.com?register;preauth=T", "", "juliet@example.com"},
		{"xmpp:juliet@example.com?register;preauth=T", "JULIET", "juliet@example.com"},
		{"xmpp:juliet@example.com?register;preauth=T", "romeo", "no"},
		{"xmpp:juliet@example.com?roster;preauth=T;ibr=y", "romeo", "romeo@example.com"},
		{"xmpp:juliet@example.com?roster;preauth=T", "romeo", "no"},
	} {
		if got := account(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s as %q: %s", tt[0], tt[1], got)
		}
	}
}

// TestSec_Secrets: neither passwords nor tokens get into what is printed along the way.
func TestSec_Secrets(t *testing.T) {
	u, err := xmppuri.Parse("xmpp:juliet@example.com?roster;preauth=SECRET")
	if err != nil {
		t.Fatal(err)
	}
	inv, _ := u.Invitation()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("x", "uri", u, "inv", inv)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		fmt.Fprintf(&b, verb, inv)
		fmt.Fprintf(&b, verb, []any{inv, &inv})
	}
	if s := b.String() + u.Redacted(); strings.Contains(s, "SECRET") {
		t.Error(s)
	}
}

// FuzzURI: what is read is written so that it reads the same.
func FuzzURI(f *testing.F) {
	for _, s := range []string{
		"xmpp:node@example.com", "xmpp://guest@example.com/support@example.com/r%2F?message;subject=Hello%20World;k;;=#f%23", "XMPP:a%40b?x;k=%C5%99",
		"xmpp:u@[::1]/r", "xmpp:juliet@example.com?roster;preauth=T;ibr=y;name=J;group=a", `xmpp:nasty!%23$%25()*+,-.;=%3F@example.com/!"&'<>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := xmppuri.Parse(s)
		if err != nil {
			if u != nil || !errors.Is(err, xmppuri.ErrInvalid) {
				t.Errorf("%q: %v, %v", s, u, err)
			}
			return
		}
		again, err := xmppuri.Parse(u.String())
		if err != nil || !reflect.DeepEqual(u, again) {
			t.Errorf("%q is written as %q: %v", s, u, err)
		}
		for i := range len(u.String()) {
			if c := u.String()[i]; c <= ' ' || c >= 0x7f {
				t.Fatalf("%q is written as %q", s, u)
			}
		}
		if inv, ok := u.Invitation(); ok {
			if back, ok := inv.URI().Invitation(); !ok || !reflect.DeepEqual(inv, back) {
				t.Errorf("%q: the invitation is written as %q", s, inv.URI())
			}
		}
	})
}
