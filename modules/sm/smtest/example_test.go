package smtest_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/sm/smtest"
)

// A test of a storage, to be called TestStorage in its package.
func ExampleTestStorage() {
	_ = func(t *testing.T) {
		smtest.TestStorage(t, func(t *testing.T) func() sm.Storage {
			dir := t.TempDir()
			return func() sm.Storage { return sm.FileStorage(dir) }
		})
	}
}
