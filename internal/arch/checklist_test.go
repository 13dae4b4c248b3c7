package arch

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// names are what a package declares: its functions, types, methods as "Type.Method", fields as "Type.Field", constants and variables; and its tests.
type names struct{ code, tests map[string]bool }

func declared(t *testing.T, dir string) names {
	t.Helper()
	_, code, tests := sources(t, dir)
	n := names{map[string]bool{}, map[string]bool{}}
	for _, f := range code {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				n.code[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					n.spec(s)
				}
			}
		}
	}
	for _, f := range tests {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				n.tests[fn.Name.Name] = true
			}
		}
	}
	return n
}

// receiver is "Type." for a method.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	if x, ok := e.(*ast.IndexExpr); ok {
		e = x.X
	}
	return e.(*ast.Ident).Name + "."
}

func (n names) spec(s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			n.code[name.Name] = true
		}
	case *ast.TypeSpec:
		n.code[s.Name.Name] = true
		var fields *ast.FieldList
		switch x := s.Type.(type) {
		case *ast.StructType:
			fields = x.Fields
		case *ast.InterfaceType:
			fields = x.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, name := range f.Names {
				n.code[s.Name.Name+"."+name.Name] = true
			}
		}
	}
}

// folders by package name, for the page about XMPPFramework.
func folders(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{"xmpp": ".", "sqlstore": "storage/sqlstore"}
	for _, p := range packages(t) {
		if r, ok := rel(p.ImportPath); ok && r != "" && !strings.HasPrefix(r, "examples/") {
			dirs[p.Name] = r
		}
	}
	return dirs
}

// TestChecklist holds docs/xmppframework.md against the code: each row names what is exported, and tests that are there.
func TestChecklist(t *testing.T) {
	dirs, known := folders(t), map[string]names{}
	has := func(id, ref string, test bool) {
		pkg, name, _ := strings.Cut(ref, ".")
		dir, ok := dirs[pkg]
		if !ok {
			t.Errorf("%s: %s: there is no package %s", id, ref, pkg)
			return
		}
		if _, ok := known[pkg]; !ok {
			known[pkg] = declared(t, dir)
		}
		set := known[pkg].code
		if test {
			set = known[pkg].tests
		}
		if name != "" && !set[name] {
			t.Errorf("%s: %s is not there", id, ref)
		}
	}
	row := regexp.MustCompile(`^\| ([A-Z0-9]+-\d+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$`)
	code := regexp.MustCompile("`([^`]+)`")
	seen := map[string]bool{}
	for line := range strings.Lines(read(t, "docs/xmppframework.md")) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			if regexp.MustCompile(`^\| [A-Z]+[0-9]*-\d`).MatchString(line) {
				t.Errorf("not a row of four columns: %s", line)
			}
			continue
		}
		id := m[1]
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		symbols, tests := code.FindAllStringSubmatch(m[3], -1), code.FindAllStringSubmatch(m[4], -1)
		if (len(symbols) == 0) != (len(tests) == 0) {
			t.Errorf("%s: what is there has a symbol and a test", id)
		}
		for _, s := range symbols {
			has(id, s[1], false)
			if _, name, _ := strings.Cut(s[1], "."); name != "" && !ast.IsExported(name) {
				t.Errorf("%s: %s is not exported", id, s[1])
			}
		}
		for _, s := range tests {
			has(id, s[1], true)
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d rows: this test sees nothing", len(seen))
	}
}
