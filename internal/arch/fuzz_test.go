package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fuzzTargets are all there are, by package. A target that is not listed, or listed and not there, fails:
// so none goes dead unnoticed. .ci/fuzz runs them.
var fuzzTargets = map[string][]string{
	".":                  {"FuzzFeatures", "FuzzSASL2", "FuzzStanza"},
	"internal/transport": {"FuzzBOSHBody", "FuzzHostMeta", "FuzzSRVOrder", "FuzzWebSocketFrame"},
	"internal/xmlstream": {"FuzzChunks", "FuzzDecoder", "FuzzSerialize"},
	"jid":                {"FuzzEscape", "FuzzJID"},
	"modules/bookmarks":  {"FuzzStorage"},
	"modules/caps":       {"FuzzCaps"},
	"modules/commands":   {"FuzzReply"},
	"modules/muc":        {"FuzzMAMPage", "FuzzMUCPresence"},
	"modules/muclight":   {"FuzzMUCLight"},
	"modules/pubsub":     {"FuzzEvent"},
	"modules/register":   {"FuzzFields"},
	"modules/roster":     {"FuzzRoster"},
	"modules/sm":         {"FuzzSM"},
	"modules/vcard":      {"FuzzVCard"},
	"sasl":               {"FuzzDigestMD5", "FuzzSCRAM"},
	"stanza":             {"FuzzStanza"},
	"stanza/datetime":    {"FuzzDateTime"},
	"stanza/form":        {"FuzzForm"},
	"xmppuri":            {"FuzzURI"},
}

func TestFuzzTargets(t *testing.T) {
	found := map[string]bool{}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\) \{`)
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "bench/") {
			return err
		}
		src, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllSubmatchIndex(src, -1) {
			name := filepath.Dir(path) + " " + string(src[m[2]:m[3]])
			found[name] = true
			if body, _, _ := strings.Cut(string(src[m[1]:]), "\n}\n"); !strings.Contains(body, ".Add(") && !strings.Contains(body, "seed") {
				t.Errorf("%s has no seeds", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, names := range fuzzTargets {
		for _, n := range names {
			if !found[dir+" "+n] {
				t.Errorf("%s %s is listed and not there", dir, n)
			}
			delete(found, dir+" "+n)
		}
	}
	for name := range found {
		t.Errorf("%s is not listed in this test", name)
	}
}
