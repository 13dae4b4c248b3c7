package vcardtest_test

import (
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
)

// A test of a storage, to be called TestStorage in its package.
func ExampleTestStorage() {
	_ = func(t *testing.T) {
		vcardtest.TestStorage(t, func(t *testing.T) func() vcard.Storage {
			s := vcard.MemoryStorage()
			return func() vcard.Storage { return s }
		})
	}
}

// A card for tests.
func ExampleSample() {
	fmt.Println(vcardtest.Sample().FormattedName)
	// Output: Juliet Capulet
}
