package vcard_test

import (
	"os"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

func TestModule(t *testing.T) {
	v := vcard.New(vcard.Config{})
	var _ xmpp.Module = v
	var _ xmpp.FeatureProvider = v
	xmpptest.CheckDelegate(t, v)
	if f := v.Features(); v.Name() != "vcard" || len(f) != 2 || f[0] != "vcard-temp" || f[1] != "urn:ietf:params:xml:ns:vcard-4.0" {
		t.Error(v.Name(), f)
	}
}
