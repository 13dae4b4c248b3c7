package micro

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Candidate is one way of doing what the others of its table do, too.
type Candidate struct {
	Name   string
	Module string // library and version
	Yields string // what the caller has afterwards
	Remark string // what a reader must know, may be empty
	Ops    int    // operations in one Run
	Bytes  int    // bytes in one Run, 0 if that means nothing here
	Run    func() error
	// Outside measures what is not written in Go, once a round, and returns the nanoseconds of one operation.
	// If nil, Run is measured.
	Outside func() (float64, error)
}

// Figure is what came out for one candidate.
type Figure struct {
	Name, Module, Yields, Remark string

	NS     float64 // nanoseconds an operation, the median of the rounds
	Allocs float64 // allocations an operation; negative: not known
	Bytes  float64 // bytes an operation
}

// Held is how many bytes of memory are in use while candidates run.
const Held = 16 << 20

// Effort says how long to measure.
type Effort struct {
	Rounds int
	Each   time.Duration // the least time of one candidate in one round
}

// Measure runs all candidates once in each round, so that what else happens on the machine hits all alike, and reports medians.
//
// Time is the processor time of the thread that does the work: what the clock on the wall would show
// on a machine that has nothing else to do and a core to spare for the garbage collector.
// The collector runs as often as in a program that holds [Held] bytes: in one that holds none
// it would run every few milliseconds, which no program that people use does.
func Measure(candidates []Candidate, e Effort) ([]Figure, error) {
	held := make([]byte, Held)
	defer runtime.KeepAlive(held)
	took := make([][]float64, len(candidates))
	allocs := make([][]float64, len(candidates))
	for range e.Rounds {
		for i, c := range candidates {
			ns, mallocs, err := once(c, e.Each)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			took[i] = append(took[i], ns)
			allocs[i] = append(allocs[i], mallocs)
		}
	}
	figures := make([]Figure, len(candidates))
	for i, c := range candidates {
		figures[i] = Figure{
			Name: c.Name, Module: c.Module, Yields: c.Yields, Remark: c.Remark,
			NS: Median(took[i]), Allocs: Median(allocs[i]), Bytes: float64(c.Bytes) / float64(c.Ops),
		}
	}
	return figures, nil
}

// once runs a candidate for at least d by the clock, at most a few times longer.
func once(c Candidate, d time.Duration) (ns, allocs float64, err error) {
	if c.Outside != nil {
		ns, err = c.Outside()
		return ns, -1, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, runs := time.Now(), 0
	cpu := threadTime()
	for step := 1; time.Since(start) < d; step = min(2*step, 1<<16) {
		for range step {
			if err := c.Run(); err != nil {
				return 0, 0, err
			}
		}
		runs += step
	}
	took := threadTime() - cpu
	runtime.ReadMemStats(&after)
	ops := float64(runs) * float64(c.Ops)
	return float64(took) / ops, float64(after.Mallocs-before.Mallocs) / ops, nil
}

// Median returns the middle value, 0 for none.
func Median[T cmp.Ordered](v []T) T {
	var zero T
	if len(v) == 0 {
		return zero
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// CPU returns the processor time this process has used, user and system.
func CPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
