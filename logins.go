package xmpp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// LogValue is what log/slog writes: String, which leaves out the token.
func (r LoginRecord) LogValue() slog.Value { return slog.StringValue(r.String()) }

// FileLogins keeps records in a folder, a file for each account; the folder is made when it is needed. Both are for the user alone,
// and the tokens in them are not encrypted. Files are replaced whole: what was saved survives the end of the process and of the machine,
// and several processes may use a folder, of which the last to save an account wins. Times are kept to the millisecond.
// A file that was changed by others is an error of LoadLogin, and so of the login: without it nobody would know which mechanisms are too weak.
// Whoever wants to begin again deletes it; the error has its name. ctx is not looked at.
func FileLogins(dir string) LoginStorage { return &fileLogins{dir: dir} }

type fileLogins struct {
	dir string
	mu  sync.Mutex // some systems do not replace a file that is being read
}

// loginFile is what a file holds, in JSON.
type loginFile struct {
	Account        string
	UserAgent      string `json:",omitempty"`
	Strongest      string `json:",omitempty"`
	Token          string `json:",omitempty"`
	TokenMechanism string `json:",omitempty"`
	TokenExpiry    int64  `json:",omitempty"` // milliseconds since 1970
	TokenCount     uint64 `json:",omitempty"`
	Features       string `json:",omitempty"`
}

// path hides what an address may hold that a file name may not.
func (f *fileLogins) path(account JID) string {
	sum := sha256.Sum256([]byte(account.String()))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:16])+".login")
}

func (f *fileLogins) LoadLogin(_ context.Context, account JID) (r LoginRecord, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	account = account.Bare()
	b, err := os.ReadFile(f.path(account))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer clear(b)
	var l loginFile
	if json.Unmarshal(b, &l) != nil || l.Account != account.String() { // an error of JSON may quote what is in the file
		return r, fmt.Errorf("xmpp: the file %s is damaged", f.path(account))
	}
	r = LoginRecord{UserAgent: l.UserAgent, Strongest: l.Strongest, Token: l.Token, TokenMechanism: l.TokenMechanism, TokenCount: l.TokenCount, Features: l.Features}
	if l.TokenExpiry != 0 {
		r.TokenExpiry = time.UnixMilli(l.TokenExpiry).UTC()
	}
	return r, nil
}

func (f *fileLogins) SaveLogin(_ context.Context, account JID, r LoginRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	account = account.Bare()
	if r == (LoginRecord{}) {
		if err := os.Remove(f.path(account)); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	l := loginFile{
		Account: account.String(), UserAgent: r.UserAgent, Strongest: r.Strongest, Token: r.Token,
		TokenMechanism: r.TokenMechanism, TokenCount: r.TokenCount, Features: r.Features,
	}
	if !r.TokenExpiry.IsZero() {
		l.TokenExpiry = r.TokenExpiry.UnixMilli()
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	defer clear(b)
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	return replaceFile(f.path(account), append(b, '\n'))
}

// replaceFile puts a file for the user alone in the place of the one that is there. Another process may do so, too.
func replaceFile(path string, b []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // it can be read by its owner only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync() // else a loss of power may leave the new name without what is in it
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
