package sm

import (
	"context"
	"errors"

	"github.com/go-xmppframework/xmpp"
)

var errNoState = errors.New("sm: there is no state to change")

// Files is a [Storage] in a folder, a file for each account. Make it with [FileStorage].
type Files struct {
	// Sync makes every change wait until it is on the disk, so that it survives the end of the machine.
	// If zero, it survives the end of the process only.
	Sync bool
	dir  string
}

// FileStorage keeps states in a folder, which is made when it is needed. Files are for the user alone, since they hold messages.
// A folder must not be used by two processes at once for the same account.
func FileStorage(dir string) *Files { return &Files{dir: dir} }

// Load is that of [Storage].
func (f *Files) Load(ctx context.Context, account xmpp.JID) (*State, error) { panic("not yet") }

// Save is that of [Storage].
func (f *Files) Save(ctx context.Context, account xmpp.JID, st *State) error { panic("not yet") }

// Append is that of [Storage].
func (f *Files) Append(ctx context.Context, account xmpp.JID, c *Change) error { panic("not yet") }

// Clear is that of [Storage].
func (f *Files) Clear(ctx context.Context, account xmpp.JID) error { panic("not yet") }
