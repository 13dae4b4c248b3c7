package modules

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTable holds the table in doc.go against the packages: every package has a row, every row a package,
// the specification of the row is named in the package's comment, and the files that make a module are there.
func TestTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\s+\| (\w+)\s+\|[^|]+\| ([^|]+?)\s+\|$`).FindAllStringSubmatch(string(doc), -1) {
		if m[1] != "package" {
			rows[m[1]] = m[2]
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, e := range entries {
		if e.IsDir() {
			packages = append(packages, e.Name())
		}
	}
	if len(packages) == 0 || len(rows) == 0 {
		t.Fatalf("%d packages, %d rows: this test sees nothing", len(packages), len(rows))
	}
	for _, name := range packages {
		specs, ok := rows[name]
		if !ok {
			t.Errorf("package %s has no row in the table of doc.go", name)
			continue
		}
		delete(rows, name)
		src, err := os.ReadFile(name + "/" + name + ".go")
		if err != nil {
			t.Errorf("package %s: %v", name, err)
			continue
		}
		for spec := range strings.SplitSeq(specs, ", ") {
			comment, _, _ := strings.Cut(string(src), "\npackage ")
			if !strings.Contains(comment, spec) {
				t.Errorf("package %s: the comment does not name %s", name, spec)
			}
		}
		files, err := os.ReadDir(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(f os.DirEntry) bool { return f.Name() == name+"_test.go" }) {
			t.Errorf("package %s has no %s_test.go", name, name)
		}
	}
	for name := range rows {
		t.Errorf("the table of doc.go has a row for %s, which is no package", name)
	}
}
