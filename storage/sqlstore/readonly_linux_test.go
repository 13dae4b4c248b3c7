package sqlstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// unprivileged runs f without the rights of root.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	runtime.LockOSThread() // those of one thread
	defer runtime.UnlockOSThread()
	if _, _, err := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); err != 0 {
		t.Fatal(err)
	}
	defer syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
	f()
}

// TestReadOnly: a file that must not be written, or a folder, is an error at once.
func TestReadOnly(t *testing.T) {
	CheckGoroutines(t)
	for name, mode := range map[string][2]os.FileMode{"file": {0o777, 0o444}, "folder": {0o555, 0o666}, "nothing there": {0o555, 0}} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "sqlstore") // others may not look into the folders of t
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			path := filepath.Join(dir, "x.db")
			if mode[1] != 0 {
				db, err := Open(t.Context(), path, Config{})
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(db.Close(), os.Chmod(path, mode[1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, mode[0]); err != nil {
				t.Fatal(err)
			}
			unprivileged(t, func() {
				_ = within(t, 10*time.Second, "Open", func() error {
					db, err := Open(t.Context(), path, Config{})
					if err == nil {
						err = touch(t.Context(), db, juliet, "x", 1)
						_ = db.Close()
					}
					if err == nil || name != "folder" && !errors.Is(err, fs.ErrPermission) {
						t.Errorf("%v", err)
					}
					t.Log(err)
					return err
				})
			})
		})
	}
}
