package register_test

import (
	"errors"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzFields: whatever a server asks, what is read has bounds, and what is filled in asks for a connection and nothing else.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		"<instructions> Choose. </instructions><username/><password/><email/><key>k1</key>", registrationForm + "</x>", registrationForm + challenge,
		"<registered/><username>juliet</username>", "<x xmlns='jabber:x:oob'><url>https://example.com/new</url></x>",
		"<x xmlns='jabber:x:data' type='form'><field var='qa'/></x>", "<f:x xmlns:f='urn:x'/>text",
	} {
		f.Add(s)
	}
	r := register.New(register.Config{})
	f.Fuzz(func(t *testing.T, s string) {
		e, err := stanza.ParseElement("<query xmlns='jabber:iq:register'>" + s + "</query>")
		if err != nil {
			return
		}
		got, err := register.ParseFields(e)
		if err != nil {
			if got != nil || !errors.Is(err, register.ErrAnswer) {
				t.Errorf("%v, %v", got, err)
			}
			return
		}
		if len(got.Legacy) > register.MaxFields || got.Redirects() && got.URL == "" {
			t.Error(got)
		}
		values := make(map[string]string)
		for _, x := range got.Legacy {
			values[x.Name] = "x"
		}
		for _, x := range got.Challenges() {
			if x.Media == nil {
				continue
			}
			for _, u := range x.Media.URIs {
				got.Data(u.URI)
			}
		}
		err = r.Register(t.Context(), got, values)
		var fill *register.FillError
		var away *register.RedirectError
		if !errors.As(err, &fill) && !errors.As(err, &away) && !errors.Is(err, xmpp.ErrInvalidState) {
			t.Error(err)
		}
	})
}
