package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The Debian packages on the machine itself, and those of the side root.
var (
	hostPackages = []string{"prosody", "prosody-modules", "ejabberd", "erlang-p1-sqlite3"}
	// What the servers depend on is found by apt; these are for the root itself, and what Prosody uses without depending on it.
	sidePackages = []string{
		"base-files", "dash", "coreutils", "sed", "grep", "libc-bin",
		"prosody", "prosody-modules", "lua-zlib", "lua-event", "lua-readline", "lua-unbound",
		"ejabberd", "erlang-p1-sqlite3",
	}
)

// recipe begins the stamp of a side root. Another number makes "install" replace roots made before.
const recipe = "1 "

// sideSuites are where the newer pair is taken from, the first that has it.
var sideSuites = [][]string{{"trixie", "trixie-backports"}, {"forky"}}

// Install installs what is missing, and tells log what it does. It does nothing where all kinds that XMPP_SERVERS names are there.
// It needs root and apt; without, it returns an error that says what is missing. Several may run at a time.
func Install(log io.Writer) error {
	kinds, err := wanted()
	if err != nil {
		return err
	}
	if len(missing(kinds)) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can install servers: %w", errors.Join(missing(kinds)...))
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("no apt-get to install servers with: %w", errors.Join(missing(kinds)...))
	}
	if err := os.MkdirAll(CacheDir(), 0o700); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(CacheDir(), "install.lock"), false, true)
	if err != nil {
		return err
	}
	defer lock.Close()
	in := installer{log: log}
	var older, newer []Kind
	for _, k := range kinds {
		if _, err := locate(k); err == nil {
			continue // perhaps installed by another while this waited
		}
		if k == Prosody || k == Ejabberd {
			older = append(older, k)
		} else {
			newer = append(newer, k)
		}
	}
	var packages []string
	if len(older) > 0 {
		packages = hostPackages
	}
	if _, err := locatePostgres(); err != nil {
		packages = append(slices.Clone(packages), "postgresql")
	}
	if len(packages) > 0 {
		err = in.apt(packages)
	}
	if len(newer) > 0 {
		err = errors.Join(err, in.sideRoot())
	}
	return errors.Join(err, errors.Join(missing(kinds)...))
}

// missing returns an error for every kind that is not there, and for the database.
func missing(kinds []Kind) (errs []error) {
	for _, k := range kinds {
		if _, err := locate(k); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := locatePostgres(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

type installer struct {
	log     io.Writer
	updated bool // the package lists are fresh
}

// run runs a command and shows its output if it fails.
func (in *installer) run(argv ...string) error {
	fmt.Fprintln(in.log, "+", strings.Join(argv, " "))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", argv[0], err, out)
	}
	return nil
}

// apt installs packages on the machine; services are neither started nor, under systemd, enabled by that.
func (in *installer) apt(packages []string) error {
	aptGet := []string{"apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"}
	if !in.updated {
		if err := in.run(append(aptGet, "update")...); err != nil {
			return err
		}
		in.updated = true
	}
	services := newServices(packages)
	allow, err := denyServices()
	if err != nil {
		return err
	}
	err = in.run(append(append(aptGet, "install", "--yes", "--no-install-recommends"), packages...)...)
	err = errors.Join(err, allow())
	if _, sd := os.Stat("/run/systemd/system"); err == nil && sd == nil && len(services) > 0 {
		err = in.run(append([]string{"systemctl", "disable"}, services...)...)
	}
	return err
}

// newServices returns those of the packages that bring a service of that name and are not installed yet:
// a service that an administrator runs is left alone.
func newServices(packages []string) (services []string) {
	for _, p := range packages {
		if p != "prosody" && p != "ejabberd" && p != "postgresql" {
			continue
		}
		out, _ := exec.Command("dpkg-query", "--show", "--showformat=${db:Status-Status}", p).Output()
		if string(out) != "installed" {
			services = append(services, p)
		}
	}
	return services
}

// denyServices makes packages that are being installed leave their services stopped, until allow is called.
// A policy that is there already stays as it is.
func denyServices() (allow func() error, err error) {
	const policy = "/usr/sbin/policy-rc.d"
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(f, "#!/bin/sh\nexit 101\n")
	return func() error { return os.Remove(policy) }, errors.Join(err, f.Close())
}

// sideRoot makes the side root, beside its place, and moves it there when it is complete.
func (in *installer) sideRoot() error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		if err := in.apt([]string{"mmdebstrap"}); err != nil {
			return err
		}
	}
	mirror, err := debianMirror()
	if err != nil {
		return err
	}
	var errs []error
	for _, suites := range sideSuites {
		tmp := SideRoot() + ".new"
		if err := os.RemoveAll(tmp); err != nil {
			return err
		}
		if err := in.unpack(tmp, mirror, suites); err != nil {
			errs = append(errs, err)
			continue
		}
		// Servers that run from an older root hold this lock.
		use, err := lockFile(filepath.Join(CacheDir(), "root.lock"), false, true)
		if err != nil {
			return err
		}
		defer use.Close()
		if err := os.RemoveAll(SideRoot()); err != nil {
			return err
		}
		return os.Rename(tmp, SideRoot())
	}
	return errors.Join(errs...)
}

// unpack unpacks the packages without running any of their scripts: nothing is configured, nothing is started.
func (in *installer) unpack(root, mirror string, suites []string) error {
	newest := suites[len(suites)-1]
	args := []string{"mmdebstrap", "--quiet", "--mode=root", "--variant=extract",
		"--aptopt=APT::Install-Recommends false",
		"--aptopt=APT::Default-Release " + `"` + newest + `"`,
		"--aptopt=Acquire::Check-Valid-Until false", // mirrors that are snapshots are past that date
		"--include=" + strings.Join(sidePackages, ","),
		suites[0], root}
	for _, suite := range suites {
		args = append(args, "deb "+mirror+" "+suite+" main")
	}
	if err := in.run(args...); err != nil {
		return err
	}
	for _, dir := range []string{"proc", "tmp", strings.TrimPrefix(sideRootMount, "/")} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if sh := filepath.Join(root, "usr/bin/sh"); !exists(sh) { // else made by dash's own script
		if err := os.Symlink("dash", sh); err != nil {
			return err
		}
	}
	if err := in.run("chroot", root, "/usr/sbin/ldconfig"); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, stampFile), []byte(recipe+newest+"\n"), 0o644)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// debianMirror returns the mirror that apt is set up with.
func debianMirror() (string, error) {
	if m := os.Getenv("XMPP_SERVERS_MIRROR"); m != "" {
		return m, nil
	}
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for uri := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(strings.TrimSuffix(uri, "/"), "/debian") {
			return uri, nil
		}
	}
	return "", errors.New("no Debian mirror in apt's sources; set XMPP_SERVERS_MIRROR")
}
