package arch

import (
	"go/ast"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRooms holds docs/muc.md against modules/muc: each symbol is exported, each test is there, and what a server is said to do has a test that runs on it.
func TestRooms(t *testing.T) {
	have := declared(t, "modules/muc")
	code := regexp.MustCompile("`([^`]+)`")
	section, rows, sections := regexp.MustCompile(`^(\d+\.[\d., ]+|XEP-\d{4})$`), 0, map[string]bool{}
	for line := range strings.Lines(read(t, "docs/muc.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) < 2 || !section.MatchString(cells[0]) {
			if strings.HasPrefix(line, "| ") && cells[0] != "section" {
				t.Errorf("no row of a section: %s", line)
			}
			continue
		}
		rows++
		if len(cells) != 8 {
			t.Errorf("not a row of eight columns: %s", line)
			continue
		}
		for s := range strings.SplitSeq(cells[0], ", ") {
			sections[s] = true
		}
		for _, m := range code.FindAllStringSubmatch(cells[2], -1) {
			name, ok := strings.CutPrefix(m[1], "muc.")
			first, _, _ := strings.Cut(name, ".")
			if !ok || !have.code[name] || !ast.IsExported(first) {
				t.Errorf("%s: %s is not there", cells[0], m[1])
			}
		}
		real := false
		for _, m := range code.FindAllStringSubmatch(cells[3], -1) {
			if !have.tests[m[1]] {
				t.Errorf("%s: %s is not there", cells[0], m[1])
			}
			real = real || strings.Contains(m[1], "Integration")
		}
		for _, c := range cells[4:] {
			if c == "" || c == "yes" && !real {
				t.Errorf("%s, %s: no test runs on servers", cells[0], cells[1])
			}
		}
	}
	for chapter, n := range map[string]int{"7": 14, "8": 6, "9": 9, "10": 9} {
		for i := range n {
			s := chapter + "." + strconv.Itoa(i+1)
			found := false
			for have := range sections {
				found = found || have == s || strings.HasPrefix(have, s+".")
			}
			if !found && s != "7.3" {
				t.Errorf("section %s has no row", s)
			}
		}
	}
	if rows < 60 {
		t.Errorf("only %d rows: this test sees nothing", rows)
	}
}
