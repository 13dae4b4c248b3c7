// Package outside holds the programs that measure what is not written in Go:
// libexpat and libstrophe through small C programs of our own, compiled at run time, and slixmpp through a small script.
// None of them is needed: what is missing on a machine is left out of the report, which says so.
package outside

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed programs/strophe.c
var stropheC []byte

//go:embed programs/expat.c
var expatC []byte

//go:embed programs/slix.py
var slixPy []byte

// Tools are the programs of one run. An empty path means that the machine lacks what it takes; Missing says what.
type Tools struct {
	Strophe, Expat string // compiled programs
	Slix           string // script for Python
	Python         string
	Versions       map[string]string // by name: strophe, expat, slixmpp
	Missing        []string
}

// Build compiles and unpacks into dir. It does not fail: see Tools.
func Build(ctx context.Context, dir string) *Tools {
	t := &Tools{Python: "/usr/bin/python3", Versions: map[string]string{}}
	t.Strophe = t.compile(ctx, dir, "strophe", stropheC, "-lstrophe", "-lpthread")
	t.Expat = t.compile(ctx, dir, "expat", expatC, "-lexpat")
	t.Versions["strophe"] = packageVersion(ctx, "libstrophe-dev")
	t.Versions["expat"] = packageVersion(ctx, "libexpat1-dev")
	// The distribution's interpreter: another one in front of it on the PATH would not have the module.
	out, err := output(ctx, t.Python, "-c", "import slixmpp; print(slixmpp.__version__)")
	if err != nil {
		t.Missing = append(t.Missing, "slixmpp")
		return t
	}
	t.Versions["slixmpp"] = strings.TrimSpace(out)
	script := filepath.Join(dir, "slix.py")
	if os.WriteFile(script, slixPy, 0o600) == nil {
		t.Slix = script
	}
	return t
}

func (t *Tools) compile(ctx context.Context, dir, name string, source []byte, libs ...string) string {
	file, program := filepath.Join(dir, name+".c"), filepath.Join(dir, name)
	if os.WriteFile(file, source, 0o600) != nil {
		return ""
	}
	if _, err := output(ctx, "gcc", append([]string{"-O2", "-o", program, file}, libs...)...); err != nil {
		t.Missing = append(t.Missing, name)
		return ""
	}
	return program
}

// packageVersion asks the distribution, since the headers do not carry the full version.
func packageVersion(ctx context.Context, name string) string {
	out, err := output(ctx, "dpkg-query", "-W", "-f", "${Version}", name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return string(out), nil
}

// CountExpat lets libexpat parse a file rounds times and returns the nanoseconds of each round.
func (t *Tools) CountExpat(ctx context.Context, file string, rounds int, namespaces bool) ([]float64, error) {
	ns := "0"
	if namespaces {
		ns = "1"
	}
	out, err := output(ctx, t.Expat, file, fmt.Sprint(rounds), ns)
	if err != nil {
		return nil, err
	}
	var took []float64
	for line := range strings.Lines(out) {
		var n float64
		if _, err := fmt.Sscan(line, &n); err != nil {
			return nil, err
		}
		took = append(took, n)
	}
	return took, nil
}
