package xmpptest_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A test of a storage, to be called TestLogins in its package.
func ExampleTestLoginStorage() {
	_ = func(t *testing.T) {
		xmpptest.TestLoginStorage(t, func(t *testing.T) func() xmpp.LoginStorage {
			dir := t.TempDir()
			return func() xmpp.LoginStorage { return xmpp.FileLogins(dir) }
		})
	}
}
