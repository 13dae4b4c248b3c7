package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// program is an installed server.
type program struct {
	kind    Kind
	root    string // "/" or the side root
	version string
	libs    string // ejabberd: the folder of the Erlang libraries, as seen from inside the root
}

// generation is the range of major versions that counts as a kind: the table of features holds for these.
var generation = map[Kind]struct {
	name     string
	from, to int
}{
	Prosody:    {"Prosody 0.12", 0, 0},
	Prosody13:  {"Prosody 13", 13, 13},
	Ejabberd:   {"ejabberd 23", 23, 23},
	Ejabberd26: {"ejabberd 26", 26, 26},
}

// Available returns the version of the server of that kind, or an error saying why there is none.
func Available(k Kind) (version string, err error) {
	p, err := locate(k)
	return p.version, err
}

// locate looks for a server of that kind, on the machine itself first, then in the side root.
func locate(k Kind) (program, error) {
	gen, ok := generation[k]
	if !ok {
		return program{}, fmt.Errorf("no server kind %q", k)
	}
	if runtime.GOOS != "linux" {
		return program{}, errors.New("real servers run on Linux only")
	}
	var seen []string
	for _, root := range []string{"/", SideRoot()} {
		p, err := inspect(k, root)
		if err != nil {
			seen = append(seen, err.Error())
			continue
		}
		major, _, _ := strings.Cut(p.version, ".")
		if n, err := strconv.Atoi(major); err != nil || n < gen.from || n > gen.to {
			seen = append(seen, "version "+p.version+" in "+root)
			continue
		}
		if root != "/" {
			if err := mayEnter(); err != nil {
				seen = append(seen, err.Error())
				continue
			}
		}
		return p, nil
	}
	return program{}, fmt.Errorf("no %s (%s)", gen.name, strings.Join(seen, "; "))
}

// mayEnter reports why this program cannot run anything in the side root. Containers may withhold that even from root.
var mayEnter = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return errors.New("the side root needs root")
	}
	if out, err := exec.Command(privateMounts[0], append(privateMounts[1:], "/bin/true")...).CombinedOutput(); err != nil {
		return fmt.Errorf("the side root needs a private mount namespace: %s", bytes.TrimSpace(out))
	}
	return nil
})

// privateMounts runs a program so that what it mounts is seen by it alone.
var privateMounts = []string{"/usr/bin/unshare", "--mount", "--propagation", "private"}

// inspect reads the version of the server's files below root.
func inspect(k Kind, root string) (program, error) {
	p := program{kind: k, root: root}
	bin := "erl"
	if k.IsProsody() {
		bin = "prosody"
	}
	if root == "/" {
		if _, err := exec.LookPath(bin); err != nil {
			return p, fmt.Errorf("no %s in PATH", bin)
		}
	} else if !sideRootDone(root) {
		return p, errors.New("no side root in " + root)
	}
	if k.IsProsody() {
		v, err := os.ReadFile(filepath.Join(root, "usr/lib/prosody/prosody.version"))
		if err != nil {
			return p, err
		}
		p.version = strings.TrimSpace(string(v))
		return p, nil
	}
	apps, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/ejabberd-*/ebin/ejabberd.app"))
	if len(apps) == 0 {
		return p, errors.New("no ejabberd in " + filepath.Join(root, "usr/lib"))
	}
	dir := filepath.Dir(filepath.Dir(apps[0])) // …/usr/lib/x86_64-linux-gnu/ejabberd-23.01
	_, p.version, _ = strings.Cut(filepath.Base(dir), "-")
	rel, err := filepath.Rel(root, filepath.Dir(dir))
	p.libs = "/" + rel
	return p, err
}

// CacheDir returns the folder that keeps the side root and the locks.
func CacheDir() string {
	if dir := os.Getenv("XMPP_SERVERS_CACHE"); dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "xmppframework-servers")
}

// SideRoot returns the folder of the newer pair; it need not exist.
func SideRoot() string { return filepath.Join(CacheDir(), "root") }

// stampFile holds the recipe that a side root was made by; it is written last.
const stampFile = ".made-by"

func sideRootDone(root string) bool {
	stamp, err := os.ReadFile(filepath.Join(root, stampFile))
	return err == nil && strings.HasPrefix(string(stamp), recipe)
}
