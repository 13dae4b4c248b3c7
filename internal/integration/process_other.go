//go:build !linux

package integration

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// process is never made here: locate finds no server outside of Linux.
type process struct{}

var errLinux = errors.New("real servers run on Linux only")

func prepare() {}

func spawn(_, _ []string, _, _ string) (*process, error) { return nil, errLinux }

func (*process) alive() bool { return false }

func (*process) cpu() time.Duration { return 0 }

func (*process) stop(time.Duration) error { return errLinux }

func (*process) signal(syscall.Signal, bool) {}

func (*process) exited(time.Duration) bool { return true }

func strays(string) []int { return nil }

func lockFile(string, bool, bool) (*os.File, error) { return nil, errLinux }
