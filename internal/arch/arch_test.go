// Package arch holds the house's floors: it reads the import graph and fails where an arrow goes up.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/go-xmppframework/xmpp"

// floor is where each package stands; an import may go down, or sideways where sideways allows it.
// A trailing "/" stands for everything below.
var floors = []struct {
	prefix string
	floor  int
}{
	{"examples/", 6},
	{"xmpptest", 5},
	{"internal/integration", 5}, {"internal/interop", 5}, {"internal/compat", 5}, {"internal/reliability", 5},
	{"modules", 4}, {"modules/", 4},
	{"", 3},
	{"internal/xmlstream", 2}, {"internal/transport", 2}, {"internal/testserver", 2}, {"internal/testkit", 0},
	{"stanza/datetime", 0}, {"stanza", 1}, {"stanza/", 1}, {"xmppuri", 1},
	{"jid", 0}, {"sasl", 0},
}

// sideways are the imports between packages of one floor that are meant.
var sideways = map[string][]string{
	"internal/testserver":              {"internal/xmlstream"},
	"internal/transport":               {"internal/xmlstream"},
	"internal/integration/cmd/servers": {"internal/integration"},
	"internal/interop":                 {"internal/integration"},
	"examples/quickstart":              {"examples/internal/account"},
	"examples/unbreakable":             {"examples/internal/account"},
	"examples/contacts":                {"examples/internal/account"},
	"examples/sensors":                 {"examples/internal/account"},
	"modules/caps":                     {"modules/disco"},
	"modules/commands":                 {"modules/disco"}, // commands are listed as nodes
	"modules/muc":                      {"modules/disco"},
	"modules/muclight":                 {"modules/disco", "modules/muc"}, // the same storage and affiliations: an application shows both kinds of rooms in one way
	"modules/pep":                      {"modules/pubsub"},               // payloads for its nodes
	"modules/vcard":                    {"modules/pubsub"},
	"modules/avatar":                   {"modules/pubsub", "modules/vcard"},
	"modules/bookmarks":                {"modules/muc", "modules/privatexml", "modules/pubsub"}, // the list is kept in one of two places; rooms are joined by what knows how
}

// dependencies are the modules that the core may need.
var dependencies = []string{
	"github.com/beevik/etree",
	"github.com/coder/websocket",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/text",
}

type pkg struct {
	ImportPath string
	Name       string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 8 {
		t.Fatalf("only %d packages: this test sees nothing", len(all))
	}
	return all
}

// rel is the path inside the module, and whether it is in the module.
func rel(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func floorOf(path string) (int, bool) {
	for _, f := range floors {
		if path == f.prefix || strings.HasSuffix(f.prefix, "/") && strings.HasPrefix(path, f.prefix) ||
			f.prefix == "internal/integration" && strings.HasPrefix(path, f.prefix+"/") {
			return f.floor, true
		}
	}
	return 0, false
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := rel(p.ImportPath)
		if from == "internal/arch" {
			continue
		}
		here, ok := floorOf(from)
		if !ok {
			t.Errorf("%s stands on no floor: add it to the list in this test", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := rel(imp)
			if !ours {
				continue
			}
			there, _ := floorOf(to)
			switch {
			case strings.HasPrefix(from, "modules/") && strings.HasPrefix(to, "internal/"):
				t.Errorf("%s imports %s: modules import nothing internal; add a seam to the root", from, to)
			case there < here:
			case there == here && slices.Contains(sideways[from], to):
			case path.Dir(from) == to && path.Base(from) == path.Base(to)+"test": // modules/sm/smtest, what tests its storages
			case strings.HasPrefix(from, "stanza/") && to == "stanza":
			default:
				t.Errorf("%s (floor %d) imports %s (floor %d)", p.ImportPath, here, imp, there)
			}
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, module+"/internal/integration") {
			continue
		}
		for _, imp := range p.Imports {
			if _, ours := rel(imp); ours || !strings.Contains(strings.Split(imp, "/")[0], ".") {
				continue
			}
			if !slices.ContainsFunc(dependencies, func(d string) bool { return imp == d || strings.HasPrefix(imp, d+"/") }) {
				t.Errorf("%s imports %s, which is not among the dependencies of the core", p.ImportPath, imp)
			}
		}
	}
}
