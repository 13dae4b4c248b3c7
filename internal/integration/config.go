package integration

import (
	"bytes"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

// The templates write actions between << and >>: both Lua and YAML use braces.
var templates = template.Must(template.New("").Delims("<<", ">>").ParseFS(templateFiles, "templates/prosody.cfg.lua", "templates/ejabberd.yml"))

const (
	adminSocket = "admin.sock"
	// sideRootMount is where the side root shows the server's folder.
	sideRootMount = "/xmpp"
)

// configure writes the server's configuration into its folder.
func (s *Server) configure() error {
	name := "ejabberd.yml"
	if s.Kind.IsProsody() {
		name = "prosody.cfg.lua"
		if err := s.writeModules(); err != nil {
			return err
		}
	}
	ports := make(map[string]uint16)
	for _, p := range AllPorts() {
		ports[p.String()] = s.Port(p)
	}
	data := struct {
		Dir             string
		Port            map[string]uint16
		New             bool // the newer generation
		Set             settings
		ComponentSecret string
		AdminSocket     string
	}{s.inner, ports, s.Kind == Prosody13 || s.Kind == Ejabberd26, s.set, ComponentSecret, adminSocket}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, name), out.Bytes(), 0o600)
}

// writeModules puts our Prosody modules into the folder.
func (s *Server) writeModules() error {
	modules, err := fs.Sub(templateFiles, "templates/modules")
	if err != nil {
		return err
	}
	dst := filepath.Join(s.dir, "modules")
	if err := os.RemoveAll(dst); err != nil {
		return err
	}
	return os.CopyFS(dst, modules)
}

// enterSideRoot is run by sh with the side root, the server's folder and the program's arguments.
// Its mounts are seen by the program alone and go with it. Every step is an exec, so the pid stays.
const enterSideRoot = `set -e
root=$1 dir=$2; shift 2
mount --bind "$dir" "$root` + sideRootMount + `"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"`

// command returns the program's arguments and its whole environment.
func (s *Server) command() (argv, env []string) {
	env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + s.inner,
		"LANG=C.UTF-8",
	}
	if s.Kind.IsProsody() {
		argv = []string{"/usr/bin/prosody", "-F", "--config", s.inner + "/prosody.cfg.lua"}
	} else {
		env = append(env,
			"ERL_LIBS="+s.prog.libs,
			"ERL_CRASH_DUMP_BYTES=0",
			"EJABBERD_CONFIG_PATH="+s.inner+"/ejabberd.yml",
			"EJABBERD_LOG_PATH="+s.inner+"/ejabberd.log",
		)
		// Without a node name there is no Erlang distribution: no epmd, no cookie, no port 4369.
		// Schedulers do not spin when idle: the machine is shared with the tests.
		argv = []string{"/usr/bin/erl", "-noinput", "+K", "true", "+P", "250000",

			"-mnesia", "dir", `"` + s.inner + `/data"`, "-s", "ejabberd"}
	}
	if s.prog.root != "/" {
		enter := []string{"/bin/sh", "-c", enterSideRoot, "sh", s.prog.root, s.dir}
		argv = slices.Concat(privateMounts, enter, argv)
	}
	return argv, env
}
