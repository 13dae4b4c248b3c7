package sm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/go-xmppframework/xmpp"
)

var errNoState = errors.New("sm: there is no state to change")

// compactBytes is the size from which a file is written anew when most of it is out of date.
const compactBytes = 256 << 10

// Files is a [Storage] in a folder, a file for each account. Make it with [FileStorage].
//
// A file is a list of records, one in a line: a whole state, then changes to it. A record is appended by one write,
// so a process that is killed leaves at most the last one torn; that one was not promised to anybody, and is ignored.
type Files struct {
	// Sync makes every change wait until it is on the disk, so that it survives the end of the machine.
	// If zero, it survives the end of the process only.
	Sync bool
	dir  string

	mu    sync.Mutex
	files map[xmpp.JID]*fileInfo // what is known of a file that this process has looked at
}

// fileInfo is kept instead of an open file.
type fileInfo struct {
	size    int64 // of all records
	state   int64 // of what a new file would have, about
	acked   uint32
	unacked int
}

// FileStorage keeps states in a folder, which is made when it is needed. Files are for the user alone, since they hold messages.
// A folder must not be used by two processes at once for the same account.
func FileStorage(dir string) *Files { return &Files{dir: dir, files: map[xmpp.JID]*fileInfo{}} }

// record is a line of a file.
type record struct {
	Account string  `json:",omitempty"` // with State
	State   *State  `json:",omitempty"`
	Change  *Change `json:",omitempty"`
}

// path hides what an address may hold that a file name may not.
func (f *Files) path(account xmpp.JID) string {
	sum := sha256.Sum256([]byte(account.String()))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:16])+".sm")
}

// Load is that of [Storage].
func (f *Files) Load(_ context.Context, account xmpp.JID) (*State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st, _, err := f.read(account)
	return st, err
}

// read returns the state, and how much of the file is good.
func (f *Files) read(account xmpp.JID) (st *State, good int64, err error) {
	data, err := os.ReadFile(f.path(account))
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for rest := data; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		r, err := decode(line)
		switch {
		case err != nil && (!whole || len(after) == 0):
			return st, good, nil // torn
		case err != nil:
			return nil, 0, fmt.Errorf("sm: the file %s is damaged: %w", f.path(account), err)
		case !whole:
			return st, good, nil // torn between the record and its end
		case r.State != nil && r.Account == account.String():
			st = r.State
		case r.Change != nil && st != nil:
			if err := st.Apply(r.Change); err != nil {
				return nil, 0, fmt.Errorf("sm: the file %s is damaged: %w", f.path(account), err)
			}
		default:
			return nil, 0, fmt.Errorf("sm: the file %s is damaged: a record makes no sense", f.path(account))
		}
		good += int64(len(line)) + 1
		rest = after
	}
	return st, good, nil
}

// encode makes a line: a checksum, and JSON.
func encode(r *record) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("00000000 ")
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil { // with the end of the line
		return nil, err
	}
	line := b.Bytes()
	copy(line, fmt.Sprintf("%08x", crc32.ChecksumIEEE(line[9:len(line)-1])))
	return line, nil
}

func decode(line []byte) (*record, error) {
	if len(line) < 9 || line[8] != ' ' {
		return nil, errors.New("a line is no record")
	}
	sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
	if err != nil || uint32(sum) != crc32.ChecksumIEEE(line[9:]) {
		return nil, errors.New("a record has a wrong checksum")
	}
	r := new(record)
	return r, json.Unmarshal(line[9:], r)
}

// Save is that of [Storage].
func (f *Files) Save(_ context.Context, account xmpp.JID, st *State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.write(account, st)
}

// write puts a new file in the place of the old one.
func (f *Files) write(account xmpp.JID, st *State) error {
	line, err := encode(&record{Account: account.String(), State: st})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	path := f.path(account)
	delete(f.files, account)
	if err := f.writeFile(path+".new", os.O_CREATE|os.O_TRUNC, line); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	f.files[account] = &fileInfo{size: int64(len(line)), state: int64(len(line)), acked: st.Acked, unacked: len(st.Unacked)}
	return f.syncDir()
}

func (f *Files) writeFile(path string, flags int, line []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|flags, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(line)
	if err == nil && f.Sync {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a change of names last.
func (f *Files) syncDir() error {
	if !f.Sync {
		return nil
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Append is that of [Storage].
func (f *Files) Append(_ context.Context, account xmpp.JID, c *Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info := f.files[account]
	if info == nil { // left by another process, perhaps torn
		st, good, err := f.read(account)
		if err != nil {
			return err
		}
		if st == nil {
			return errNoState
		}
		if err := os.Truncate(f.path(account), good); err != nil {
			return err
		}
		info = &fileInfo{size: good, state: good, acked: st.Acked, unacked: len(st.Unacked)}
		f.files[account] = info
	}
	left, err := remaining(info.unacked+len(c.Sent), c.Acked-info.acked)
	if err != nil {
		return err
	}
	line, err := encode(&record{Change: c})
	if err != nil {
		return err
	}
	if err := f.writeFile(f.path(account), os.O_APPEND, line); err != nil {
		delete(f.files, account) // part of it may be there
		return err
	}
	info.acked, info.unacked = c.Acked, left
	if info.size += int64(len(line)); info.size < compactBytes || info.size < 4*info.state {
		return nil
	}
	st, _, err := f.read(account)
	if err != nil || st == nil {
		return err
	}
	return f.write(account, st)
}

// Clear is that of [Storage].
func (f *Files) Clear(_ context.Context, account xmpp.JID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, account)
	switch err := os.Remove(f.path(account)); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return f.syncDir()
}
