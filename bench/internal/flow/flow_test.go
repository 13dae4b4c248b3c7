package flow

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/outside"
)

// TestMain is also the main function of the processes that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		var err error
		switch os.Args[1] {
		case child.Flag:
			err = child.Main(os.Args[2])
		case child.ServerFlag:
			err = child.ServerMain(os.Args[2])
		default:
			os.Exit(m.Run())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T) (*Bench, *child.Server) {
	t.Helper()
	s, err := child.StartServer(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &Bench{Tools: outside.Build(t.Context(), t.TempDir()), Dir: t.TempDir(), Rounds: 1, Progress: io.Discard}, s
}

// Every client that this machine can run takes part in the one-way measurements.
func TestOneWay(t *testing.T) {
	b, s := start(t)
	for _, table := range []Table{b.Sink(t.Context(), s, 50), b.Source(t.Context(), s, 50)} {
		for _, row := range table.Rows {
			t.Run(table.Name+"/"+row.Client, func(t *testing.T) {
				if row.Failed != "" || row.Rate <= 0 {
					t.Errorf("%.0f messages a second, failed: %s", row.Rate, row.Failed)
				}
			})
		}
	}
}

func TestIdle(t *testing.T) {
	b, s := start(t)
	for _, row := range b.IdleLean(t.Context(), s, 3).Rows {
		t.Run(row.Client, func(t *testing.T) {
			if row.Failed != "" || row.Heap <= 0 || row.Goroutines < 1 {
				t.Errorf("got %+v", row)
			}
		})
	}
}
