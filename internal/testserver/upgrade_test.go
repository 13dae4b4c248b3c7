package testserver

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"slices"
	"strconv"
	"testing"

	"github.com/go-xmppframework/xmpp/sasl"
)

func TestUpgrade(t *testing.T) {
	srv := newServer(t, Options{SASL2: true, Login: LoginOptions{Upgrades: []string{"SCRAM-SHA-512"}, Tasks: []string{"X-DANCE"}}})
	c := sasl2Client(t, srv, "juliet")
	if got := mechanismNames(c.features); slices.Contains(got, "SCRAM-SHA-512") || !slices.Contains(got, "SCRAM-SHA-256") {
		t.Errorf("offered before: %v", got)
	}
	if e := path(c.features, "authentication "+nsSASL2, "upgrade "+nsUpgrade); e == nil || e.Text() != "UPGR-SCRAM-SHA-512" {
		t.Errorf("no upgrade is offered: %s", pretty(c.features))
	}
	upgrade := "<upgrade xmlns='" + nsUpgrade + "'>UPGR-SCRAM-SHA-512</upgrade>"
	e, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", bindRequest+upgrade)
	if err != nil {
		t.Fatal(err)
	}
	if !is(e, "continue", nsSASL2) {
		t.Fatalf("want <continue/>, got %s", pretty(e))
	}
	if got := len(path(e, "tasks "+nsSASL2).ChildElements()); got != 2 {
		t.Errorf("%d tasks: %s", got, pretty(e))
	}
	c.write("<next xmlns='" + nsSASL2 + "' task='UPGR-SCRAM-SHA-512'/>")
	v := c.want("<task-data xmlns='" + nsSASL2 + "'><salt xmlns='" + nsScramUpgrade + "' iterations='{i}'>{salt}</salt></task-data>")
	iterations, err := strconv.Atoi(v["i"])
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha512.New, "secret", decode(t, v["salt"]), iterations, 64)
	if err != nil {
		t.Fatal(err)
	}
	c.write("<task-data xmlns='" + nsSASL2 + "'><hash xmlns='" + nsScramUpgrade + "'>" + encode(string(salted)) + "</hash></task-data>")
	c.want("<continue xmlns='" + nsSASL2 + "'><tasks><task>X-DANCE</task></tasks></continue>")
	c.write("<next xmlns='" + nsSASL2 + "' task='X-DANCE'/>")
	c.want("<task-data xmlns='" + nsSASL2 + "'/>")
	c.write("<task-data xmlns='" + nsSASL2 + "'/>")
	c.want("<success xmlns='" + nsSASL2 + "'><authorization-identifier>*</authorization-identifier><bound xmlns='" + nsBind2 + "'/></success>")
	c.wantFeatures()

	c = sasl2Client(t, srv, "juliet")
	if got := mechanismNames(c.features); !slices.Contains(got, "SCRAM-SHA-512") || path(c.features, "authentication "+nsSASL2, "upgrade "+nsUpgrade) != nil {
		t.Errorf("offered after: %s", pretty(c.features))
	}
	if e, err = c.auth2(sasl.ScramSHA512(), "juliet", "secret", ""); err != nil || !is(e, "continue", nsSASL2) {
		t.Errorf("login with the new keys: %v, %v", e, err)
	}
	c.write("<abort xmlns='" + nsSASL2 + "'/>")
	c.want("<failure xmlns='" + nsSASL2 + "'><aborted xmlns='" + nsSASL + "'/></failure>")

	c = sasl2Client(t, srv, "romeo")
	if got := mechanismNames(c.features); slices.Contains(got, "SCRAM-SHA-512") {
		t.Errorf("offered to others: %v", got)
	}
}

func TestUpgradeRefused(t *testing.T) {
	srv := newServer(t, Options{SASL2: true, Login: LoginOptions{Upgrades: []string{"SCRAM-SHA-512"}}})
	for _, data := range []string{"", "<hash xmlns='" + nsScramUpgrade + "'>AAAA</hash>", "<hash xmlns='" + nsScramUpgrade + "'>!</hash>"} {
		c := sasl2Client(t, srv, "juliet")
		if _, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", "<upgrade xmlns='"+nsUpgrade+"'>UPGR-SCRAM-SHA-512</upgrade>"); err != nil {
			t.Fatal(err)
		}
		c.write("<next xmlns='" + nsSASL2 + "' task='UPGR-SCRAM-SHA-512'/>")
		c.want("<task-data xmlns='" + nsSASL2 + "'><salt xmlns='" + nsScramUpgrade + "' iterations='4096'>*</salt></task-data>")
		c.write("<task-data xmlns='" + nsSASL2 + "'>" + data + "</task-data>")
		c.want("<failure xmlns='" + nsSASL2 + "'><malformed-request xmlns='" + nsSASL + "'/></failure>")
	}
	c := sasl2Client(t, srv, "juliet") // another task
	if _, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", "<upgrade xmlns='"+nsUpgrade+"'>UPGR-SCRAM-SHA-512</upgrade>"); err != nil {
		t.Fatal(err)
	}
	c.write("<next xmlns='" + nsSASL2 + "' task='UPGR-SCRAM-SHA-256'/>")
	c.want("<failure xmlns='" + nsSASL2 + "'><malformed-request xmlns='" + nsSASL + "'/></failure>")

	c = sasl2Client(t, srv, "juliet") // one that is not offered
	if e, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", "<upgrade xmlns='"+nsUpgrade+"'>UPGR-SCRAM-SHA-1</upgrade>"); err != nil || !is(e, "success", nsSASL2) {
		t.Errorf("not offered: %v, %v", e, err)
	}
}

// TestNoKeys: where a mechanism is offered all the same, nobody has keys for it.
func TestNoKeys(t *testing.T) {
	srv := newServer(t, Options{Mechanisms: []string{"SCRAM-SHA-512"}, Login: LoginOptions{Upgrades: []string{"SCRAM-SHA-512"}}})
	c := secured(t, srv, nil)
	if err := c.auth(sasl.ScramSHA512(), "juliet", "secret", ""); err == nil || err.Error() != "not-authorized" {
		t.Errorf("got %v", err)
	}
}

func TestConfigVersion(t *testing.T) {
	srv := newServer(t, Options{SASL2: true, Login: LoginOptions{ConfigVersion: "one"}})
	c := sasl2Client(t, srv, "juliet")
	if e := child(c.features, "config-version", nsConfig); e == nil || attr(e, "value") != "one" || attr(e, "scheme") != "opaque" {
		t.Fatalf("features: %s", pretty(c.features))
	}
	version := func(v string) string {
		return "<config-version xmlns='" + nsConfig + "' scheme='opaque' value='" + v + "'/>"
	}
	plain := "\x00juliet\x00secret"
	// In one flight with the header.
	pipelined := func(v string) *client {
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.write(headerAs(srv, "juliet") + authenticate("PLAIN", plain, version(v)))
		c.readFeatures()
		return c
	}
	c = pipelined("one")
	c.want("<success xmlns='" + nsSASL2 + "'><authorization-identifier>juliet@example.test</authorization-identifier></success>")
	c.wantFeatures()
	srv.SetConfigVersion("two")
	c = pipelined("one")
	c.want("<failure xmlns='" + nsSASL2 + "'><config-version-mismatch xmlns='" + nsConfig + "'/></failure>")
	for range maxAuthFailures { // it is no attempt
		c.write(authenticate("PLAIN", plain, version("one")))
		c.want("<failure xmlns='" + nsSASL2 + "'><config-version-mismatch xmlns='" + nsConfig + "'/></failure>")
	}
	if _, err := c.auth2(sasl.ScramSHA256(), "juliet", "wrong", version("two")); err == nil || err.Error() != "not-authorized" {
		t.Errorf("a wrong password: %v", err)
	}
	if e := child(c.features, "config-version", nsConfig); attr(e, "value") != "two" {
		t.Errorf("features: %s", pretty(c.features))
	}
	c.login2("juliet", version("two"))
}
