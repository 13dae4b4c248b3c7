package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStorages: what a module, or the stream, can store, storage/sqlstore stores; a public suite tests that, and docs/storage.md shows it.
func TestStorages(t *testing.T) {
	var code, tests strings.Builder
	files, err := filepath.Glob("../../storage/sqlstore/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "_test.go") {
			tests.Write(b)
		} else {
			code.Write(b)
		}
	}
	page, n := read(t, "docs/storage.md"), 0
	stored := func(name, suite string) {
		t.Helper()
		if !strings.Contains(code.String(), ") "+name+" {") {
			t.Errorf("storage/sqlstore has no %s", name)
		}
		if !strings.Contains(tests.String(), suite) {
			t.Errorf("storage/sqlstore does not run %s", suite)
		}
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/storage.md does not show %s", name)
		}
	}
	stored("xmpp.LoginStorage", "xmpptest.TestLoginStorage")
	files, err = filepath.Glob("../../modules/*/storage.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "\ntype Storage interface {") {
			continue
		}
		name := filepath.Base(filepath.Dir(f))
		n++
		stored(name+".Storage", name+"test.TestStorage")
	}
	if n < 5 {
		t.Errorf("only %d modules store something: this test sees nothing", n)
	}
}
