//go:build !linux

package micro

import "time"

var start = time.Now()

// threadTime is the clock on the wall where the processor time of one thread is not to be had.
func threadTime() time.Duration { return time.Since(start) }
