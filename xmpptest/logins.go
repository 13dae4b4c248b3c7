package xmpptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// TestLoginStorage tests an implementation of [xmpp.LoginStorage], in subtests. place makes an empty place to store in, whose resources
// end with the test, and returns what opens it: each call stands for a process of its own, which comes after the one before.
func TestLoginStorage(t *testing.T, place func(t *testing.T) (open func() xmpp.LoginStorage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() xmpp.LoginStorage)
	}{
		{"nothing", loginNothing}, {"save", loginSave}, {"forget", loginForget}, {"values", loginValues}, {"accounts", loginAccounts},
		{"at once", loginAtOnce}, {"real", loginReal}, {"secret", loginSecret},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var loginAccount = xmpp.MustParseJID("juliet@example.test")

func sampleLogin() xmpp.LoginRecord {
	return xmpp.LoginRecord{
		UserAgent: "d4565fa7-4d72-4749-b3d3-740edbf87770", Strongest: "SCRAM-SHA-512-PLUS",
		Token: "secret-token:fast-Ij2lx", TokenMechanism: "HT-SHA-256-EXPR", TokenExpiry: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), TokenCount: 3,
		Features: "<stream:features><starttls/></stream:features>",
	}
}

func saveLogin(t *testing.T, s xmpp.LoginStorage, account xmpp.JID, r xmpp.LoginRecord) {
	t.Helper()
	if err := s.SaveLogin(t.Context(), account, r); err != nil {
		t.Fatalf("SaveLogin: %v", err)
	}
}

// checkLogin compares what is stored with what should be. Times count by the millisecond. Records do not print their token, so each field is told.
func checkLogin(t *testing.T, s xmpp.LoginStorage, account xmpp.JID, want xmpp.LoginRecord) {
	t.Helper()
	got, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatalf("LoadLogin: %v", err)
	}
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"UserAgent", got.UserAgent, want.UserAgent}, {"Strongest", got.Strongest, want.Strongest}, {"Features", got.Features, want.Features},
		{"Token", got.Token, want.Token}, {"TokenMechanism", got.TokenMechanism, want.TokenMechanism}, {"TokenCount", got.TokenCount, want.TokenCount},
		{"TokenExpiry", got.TokenExpiry.UTC().Truncate(time.Millisecond), want.TokenExpiry.UTC().Truncate(time.Millisecond)},
	} {
		if field.got != field.want {
			t.Fatalf("%s of %s: %v, want %v", field.name, account, field.got, field.want)
		}
	}
}

func loginNothing(t *testing.T, open func() xmpp.LoginStorage) {
	s := open()
	checkLogin(t, s, loginAccount, xmpp.LoginRecord{})
	saveLogin(t, s, loginAccount, xmpp.LoginRecord{})
	checkLogin(t, s, loginAccount, xmpp.LoginRecord{})
	checkLogin(t, open(), loginAccount, xmpp.LoginRecord{})
}

// loginSave: a record is replaced whole, and what one process has stored the next one has.
func loginSave(t *testing.T, open func() xmpp.LoginStorage) {
	s, r := open(), sampleLogin()
	saveLogin(t, s, loginAccount, r)
	checkLogin(t, s, loginAccount, r)
	checkLogin(t, open(), loginAccount, r)
	for n := range uint64(50) {
		if n%10 == 0 {
			s = open()
		}
		r.TokenCount = n
		saveLogin(t, s, loginAccount, r)
		checkLogin(t, s, loginAccount, r)
	}
	checkLogin(t, open(), loginAccount, r)
	r = xmpp.LoginRecord{Strongest: "PLAIN"}
	saveLogin(t, open(), loginAccount, r)
	checkLogin(t, open(), loginAccount, r)
}

// loginForget: the zero value is stored as any other.
func loginForget(t *testing.T, open func() xmpp.LoginStorage) {
	s := open()
	saveLogin(t, s, loginAccount, sampleLogin())
	saveLogin(t, s, loginAccount, xmpp.LoginRecord{})
	checkLogin(t, s, loginAccount, xmpp.LoginRecord{})
	checkLogin(t, open(), loginAccount, xmpp.LoginRecord{})
	saveLogin(t, open(), loginAccount, sampleLogin())
	checkLogin(t, open(), loginAccount, sampleLogin())
}

// loginValues are those that a server may give.
func loginValues(t *testing.T, open func() xmpp.LoginStorage) {
	odd := "\u00e4'\"\\;--%\U0001F600\n\t<&>\u2028 $1 ? \ufffd "
	s := open()
	for _, r := range []xmpp.LoginRecord{
		{UserAgent: odd, Strongest: odd, Token: odd, TokenMechanism: odd, Features: odd},
		{Token: strings.Repeat("x", 64<<10), Features: strings.Repeat("<feature/>", 20_000)},
		{Token: "x", TokenCount: math.MaxUint64, TokenExpiry: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
		{Token: "x", TokenCount: math.MaxInt64 + 1, TokenExpiry: time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC)},
		{TokenExpiry: time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.FixedZone("", 5*3600+1800))},
		{TokenExpiry: time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC)},
	} {
		saveLogin(t, s, loginAccount, r)
		checkLogin(t, s, loginAccount, r)
		checkLogin(t, open(), loginAccount, r)
	}
}

// loginAccounts: those of other accounts are other records.
func loginAccounts(t *testing.T, open func() xmpp.LoginStorage) {
	long, err := xmpp.NewJID(strings.Repeat("x", 1023), "example.test", "")
	if err != nil {
		t.Fatal(err)
	}
	all := []xmpp.JID{
		loginAccount, xmpp.MustParseJID("romeo@example.test"), xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("example.test"), long,
		xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test"), xmpp.MustParseJID("..@example.test"), xmpp.MustParseJID("juliet@[::1]"),
	}
	s := open()
	for i, j := range all {
		r := sampleLogin()
		r.TokenCount = uint64(i)
		saveLogin(t, s, j, r)
	}
	saveLogin(t, s, all[1], xmpp.LoginRecord{})
	s = open()
	for i, j := range all {
		want := sampleLogin()
		if want.TokenCount = uint64(i); i == 1 {
			want = xmpp.LoginRecord{}
		}
		checkLogin(t, s, j, want)
	}
}

// loginAtOnce: several streams use one storage, for one account too; what is read was saved, whole.
func loginAtOnce(t *testing.T, open func() xmpp.LoginStorage) {
	s, other := open(), open()
	ctx := t.Context()
	record := func(n int) xmpp.LoginRecord {
		return xmpp.LoginRecord{Token: fmt.Sprint("token ", n), TokenMechanism: fmt.Sprint(n), TokenCount: uint64(n), Features: strings.Repeat(fmt.Sprint(n%10), 5000)}
	}
	saveLogin(t, s, loginAccount, record(1000))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own, err := xmpp.NewJID(fmt.Sprint("user", i), "example.test", "")
			if err != nil {
				t.Error(err)
				return
			}
			by := []xmpp.LoginStorage{s, other}[i%2]
			for n := range 10 {
				if err := by.SaveLogin(ctx, own, record(n)); err != nil {
					t.Errorf("SaveLogin: %v", err)
				}
				if got, err := by.LoadLogin(ctx, own); err != nil || got.TokenCount != uint64(n) {
					t.Errorf("LoadLogin: the one of count %d, %v, want %d", got.TokenCount, err, n)
				}
				if err := by.SaveLogin(ctx, loginAccount, record(1000+10*i+n)); err != nil {
					t.Errorf("SaveLogin: %v", err)
				}
				if got, err := by.LoadLogin(ctx, loginAccount); err != nil || got != record(int(got.TokenCount)) {
					t.Errorf("LoadLogin: the record is none that was saved; %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// loginReal: a client whose process ends logs in with the token that the one before has got.
func loginReal(t *testing.T, open func() xmpp.LoginStorage) {
	srv := NewServer(t, WithSASL2())
	for n := range 3 {
		cfg := srv.Config("juliet")
		cfg.Logins = open()
		s, err := xmpp.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := s.Login(ctx); err != nil {
			t.Errorf("login %d: %v", n, err)
		} else if got, want := s.Security().Token, n > 0; got != want {
			t.Errorf("login %d: with a token: %t, want %t", n, got, want)
		}
		s.Disconnect()
		cancel()
	}
}

// loginSecret: whoever logs the storage, or its errors, tells no token.
func loginSecret(t *testing.T, open func() xmpp.LoginStorage) {
	s, r := open(), sampleLogin()
	saveLogin(t, s, loginAccount, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, loadErr := s.LoadLogin(ctx, loginAccount) // it may do so all the same
	saveErr := s.SaveLogin(ctx, loginAccount, r)
	var b bytes.Buffer
	for _, v := range []any{s, &s, loadErr, saveErr} {
		for _, verb := range []string{"%v ", "%+v ", "%#v ", "%s ", "%q "} {
			fmt.Fprintf(&b, verb, v)
		}
		text, _ := json.Marshal(v)
		b.Write(text)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("storage", "s", s, "load", loadErr, "save", saveErr, "record", r)
	}
	if strings.Contains(b.String(), r.Token) {
		t.Errorf("the token %s is in %s", r.Token, &b)
	}
}
