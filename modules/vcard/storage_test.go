package vcard_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
)

func TestMemoryStorage(t *testing.T) {
	vcardtest.TestStorage(t, func(*testing.T) func() vcard.Storage {
		s := vcard.MemoryStorage()
		return func() vcard.Storage { return s }
	})
}
