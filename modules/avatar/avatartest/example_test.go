package avatartest_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/avatar/avatartest"
)

// A test of a storage, to be called TestStorage in its package.
func ExampleTestStorage() {
	_ = func(t *testing.T) {
		avatartest.TestStorage(t, func(*testing.T) func() avatar.Storage {
			s := avatar.MemoryStorage()
			return func() avatar.Storage { return s }
		})
	}
}
