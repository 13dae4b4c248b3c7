package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEchobot holds the README's bot against the program, and the program against its promise of 25 lines.
func TestEchobot(t *testing.T) {
	program := read(t, "examples/echobot/main.go")
	if !strings.Contains(read(t, "README.md"), "```go\n"+program+"```") {
		t.Error("the echo bot in README.md is not examples/echobot/main.go")
	}
	_, code, ok := strings.Cut(program, "\nfunc main")
	lines := 0
	for line := range strings.Lines("func main" + code) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	if !ok || lines > 25 {
		t.Errorf("the echo bot has %d lines of code, 25 are promised", lines)
	}
}

// TestLinks checks that the files that the documents point to are there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	n := 0
	for _, doc := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			n++
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s points to %s, which is not there", doc, m[1])
			}
		}
	}
	if n == 0 {
		t.Error("no links: this test sees nothing")
	}
}

// TestMap holds the table of files in ARCHITECTURE.md against the root package.
func TestMap(t *testing.T) {
	doc := read(t, "ARCHITECTURE.md")
	files, err := filepath.Glob("../../*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasSuffix(name, "_test.go") || name == "doc.go" || name == "jid.go" {
			continue
		}
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("ARCHITECTURE.md does not mention %s", name)
		}
	}
}

// TestRows: each test that a page of faults names is there.
func TestRows(t *testing.T) {
	have := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(b), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, least := range map[string]int{"docs/reliability.md": 20, "docs/storage.md": 10, "docs/pubsub.md": 60, "docs/registration.md": 2} {
		named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(read(t, page), -1)
		for _, m := range named {
			if !have[m[1]] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
		if len(named) < least {
			t.Errorf("only %d tests are named in %s: this test sees nothing", len(named), page)
		}
	}
}

// TestPubSubPage: what docs/pubsub.md names is exported by modules/pubsub and modules/pep.
func TestPubSubPage(t *testing.T) {
	known := map[string]names{"pubsub": declared(t, "modules/pubsub"), "pep": declared(t, "modules/pep")}
	all := regexp.MustCompile("`(pubsub|pep)\\.([A-Z][\\w.]*)`").FindAllStringSubmatch(read(t, "docs/pubsub.md"), -1)
	for _, m := range all {
		if !known[m[1]].code[m[2]] {
			t.Errorf("%s.%s is not there", m[1], m[2])
		}
	}
	if len(all) < 60 {
		t.Errorf("only %d names: this test sees nothing", len(all))
	}
}
