package capstest_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/caps/capstest"
)

// A test of a storage, to be called TestStorage in its package.
func ExampleTestStorage() {
	_ = func(t *testing.T) {
		capstest.TestStorage(t, func(*testing.T) func() caps.Storage {
			m := caps.MemoryStorage() // in place of what is tested
			return func() caps.Storage { return m }
		})
	}
}
