package xmpp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
)

// TestDelegatesAdd: what cannot be called is refused where it is added, in every module alike.
func TestDelegatesAdd(t *testing.T) {
	type family interface{ DidChange(context.Context) }
	type families struct {
		Name string
		A, B family
	}
	type settings struct{ N int }
	var set setFamily
	for name, tt := range map[string]struct {
		add  func()
		want string // of the panic; empty if there is none
	}{
		"one family":       {func() { new(xmpp.Delegates[families]).Add("", nil, families{B: set}) }, ""},
		"no family":        {func() { new(xmpp.Delegates[families]).Add("", nil, families{Name: "x"}) }, "xmpp_test.families: no family is set"},
		"a nil pointer":    {func() { new(xmpp.Delegates[families]).Add("", nil, families{A: set, B: (*setFamily)(nil)}) }, "xmpp_test.families.B is a nil *xmpp_test.setFamily"},
		"a nil func":       {func() { new(xmpp.Delegates[families]).Add("", nil, families{A: funcFamily(nil)}) }, "xmpp_test.families.A is a nil xmpp_test.funcFamily"},
		"an interface":     {func() { new(xmpp.Delegates[family]).Add("", nil, set) }, ""},
		"no interface":     {func() { new(xmpp.Delegates[family]).Add("", nil, nil) }, "xmpp_test.family: nil was added"},
		"nil in one":       {func() { new(xmpp.Delegates[family]).Add("", nil, (*setFamily)(nil)) }, "xmpp_test.family: nil was added"},
		"a func":           {func() { new(xmpp.Delegates[func()]).Add("", nil, func() {}) }, ""},
		"no func":          {func() { new(xmpp.Delegates[func()]).Add("", nil, nil) }, "func(): nil was added"},
		"another struct":   {func() { new(xmpp.Delegates[settings]).Add("", nil, settings{}) }, ""},
		"nothing to check": {func() { new(xmpp.Delegates[int]).Add("", nil, 0) }, ""},
	} {
		func() {
			defer func() {
				got, _ := recover().(string)
				if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
					t.Errorf("%s: %q, want %q", name, got, tt.want)
				}
			}()
			tt.add()
		}()
	}
}

type setFamily struct{}

func (setFamily) DidChange(context.Context) {}

type funcFamily func()

func (funcFamily) DidChange(context.Context) {}
