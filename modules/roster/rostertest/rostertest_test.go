package rostertest_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/roster/rostertest"
)

// A test of a storage, to be called TestStorage in its package.
func ExampleTestStorage() {
	_ = func(t *testing.T) {
		rostertest.TestStorage(t, func(t *testing.T) func() roster.Storage {
			s := roster.MemoryStorage()
			return func() roster.Storage { return s }
		})
	}
}

func TestStorage(t *testing.T) {
	rostertest.TestStorage(t, func(*testing.T) func() roster.Storage {
		s := roster.MemoryStorage()
		return func() roster.Storage { return s }
	})
}
