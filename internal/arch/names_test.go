package arch

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sources parses the Go files of a folder: those of its package, and its tests.
func sources(t *testing.T, dir string) (set *token.FileSet, code, tests []*ast.File) {
	t.Helper()
	set = token.NewFileSet()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, f)
		} else {
			code = append(code, f)
		}
	}
	return set, code, tests
}

// types ranges over the exported types of files.
func types(files []*ast.File, f func(spec *ast.TypeSpec, doc string)) {
	for _, file := range files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				if spec := s.(*ast.TypeSpec); spec.Name.IsExported() {
					f(spec, g.Doc.Text()+spec.Doc.Text())
				}
			}
		}
	}
}

func publicPackages(t *testing.T) []string {
	t.Helper()
	dirs := []string{".", "jid", "sasl", "stanza", "stanza/datetime", "stanza/form", "stanza/rsm", "stanza/sid", "xmpptest", "xmppuri"}
	modules, err := fs.ReadDir(os.DirFS("../.."), "modules")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		if m.IsDir() {
			dirs = append(dirs, "modules/"+m.Name())
		}
	}
	return dirs
}

// TestDelegateMethods: one Go type must be able to listen to the stream and to every module, so no two
// delegate interfaces may have a method of the same name with different signatures.
func TestDelegateMethods(t *testing.T) {
	seen := map[string]string{} // method → signature
	n := 0
	for _, dir := range publicPackages(t) {
		set, code, _ := sources(t, dir)
		types(code, func(spec *ast.TypeSpec, _ string) {
			i, ok := spec.Type.(*ast.InterfaceType)
			if !ok || !strings.HasSuffix(spec.Name.Name, "Delegate") {
				return
			}
			for _, m := range i.Methods.List {
				var b strings.Builder
				if err := printer.Fprint(&b, set, m.Type); err != nil {
					t.Fatal(err)
				}
				for _, name := range m.Names {
					n++
					if other, ok := seen[name.Name]; ok && other != b.String() {
						t.Errorf("%s: %s.%s is %s, elsewhere it is %s", dir, spec.Name, name, b.String(), other)
					}
					seen[name.Name] = b.String()
				}
			}
		})
	}
	if n < 30 {
		t.Errorf("only %d methods: this test sees nothing", n)
	}
}

// shownElsewhere are exported types whose use an Example of another name shows.
var shownElsewhere = map[string]string{
	"Config": "Example", "Credentials": "PasswordFunc", "JID": "jid.JID", "TLSPolicy": "Config", "Resolver": "Config",
	"State": "Stream", "SessionKind": "Binder", "Tracking": "Tracker", "TrackOptions": "Tracker", "Unacked": "Tracker", "ReceiptState": "Receipt", "Binding": "Binder",
	"MessageFunc": "Example", "PresenceFunc": "Queue", "IQFunc": "Stream_HandleIQ", "IQHandler": "Stream_HandleIQ",
	"Module": "ModuleBase", "Receiver": "ModuleBase", "FeatureProvider": "ModuleBase", "CapabilityFinder": "ModuleBase", "SubscriptionFinder": "ModuleBase", "ContactFinder": "ModuleBase", "BlockFinder": "ModuleBase", "AvatarKeeper": "ModuleBase", "PresenceClaimer": "ModuleBase", "Delegates": "ModuleBase",
	"Inline": "Inliner", "InlineResult": "Inliner", "CatchUpper": "Inliner",
	"LoginRecord": "FileLogins", "LoginStorage": "FileLogins", "UserAgent": "FileLogins",
	"Attempt": "ConnectError", "ProxyError": "ConnectError", "DisconnectedError": "Stream_Await", "PanicError": "Config", "SlowDelegateError": "Delegate", "SASLCondition": "AuthError",
}

// TestExamples: every exported type has an Example, or shares one. The families of a Delegate are shown by DelegateOf.
func TestExamples(t *testing.T) {
	for _, dir := range publicPackages(t) {
		_, code, tests := sources(t, dir)
		examples := map[string]bool{}
		for _, f := range tests {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					if name, ok := strings.CutPrefix(fn.Name.Name, "Example"); ok {
						name, _, _ = strings.Cut(name, "_")
						examples[name] = true
					}
				}
			}
		}
		if len(examples) == 0 {
			t.Errorf("%s has no Examples", dir)
		}
		if dir != "." {
			continue // their own tests look closer
		}
		types(code, func(spec *ast.TypeSpec, _ string) {
			name := spec.Name.Name
			if !examples[name] && shownElsewhere[name] == "" && !strings.HasSuffix(name, "Delegate") {
				t.Errorf("%s: the type %s has no Example", dir, name)
			}
		})
	}
}

// TestDocComments: every exported type says what it is, and begins with its name.
func TestDocComments(t *testing.T) {
	for _, dir := range publicPackages(t) {
		_, code, _ := sources(t, dir)
		types(code, func(spec *ast.TypeSpec, doc string) {
			if !strings.HasPrefix(doc, spec.Name.Name+" ") && !strings.HasPrefix(doc, "A "+spec.Name.Name+" ") && !strings.HasPrefix(doc, "An "+spec.Name.Name+" ") {
				t.Errorf("%s: the comment of %s begins with %.40q", dir, spec.Name, doc)
			}
		})
	}
}
