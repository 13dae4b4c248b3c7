// Package integration starts real XMPP servers for tests.
//
// Four kinds are known: Prosody 0.12, ejabberd 23, Prosody 13 and ejabberd 26.
// Each server listens on free ports of 127.0.0.1, keeps its data in a temporary folder and runs in a session of its own.
// Nothing outlives the program that started it, not even one that is killed with SIGKILL.
//
// Besides there is PostgreSQL, for what is stored: see [SharedPostgres].
//
// A test package that talks to servers has
//
//	func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }
//
// and its tests call [Each], [EachAtOnce], [Shared] or [Start].
//
// # Environment
//
//   - XMPP_INTEGRATION: "required" turns a missing server into a failure, "off" skips everything.
//     Unset, a test that needs a missing server is skipped with one line.
//   - XMPP_SERVERS: a comma-separated list of kinds; only these are used. Unset: all four.
//   - XMPP_SERVERS_CACHE: the folder for the side root and for locks.
//     Unset: xmppframework-servers in the user's cache folder.
//   - XMPP_SERVERS_SLOTS: how many test programs may have servers up at a time. Unset: 2.
//   - XMPP_SERVERS_MIRROR: the Debian mirror. Unset: the one that apt is set up with.
//
// # Where the servers come from
//
// The older pair is installed with apt.
// The newer pair lives in a side root, a folder with an unpacked newer Debian, and runs there by chroot in a private mount namespace;
// that needs root.
// "go run ./internal/integration/cmd/servers install" installs what is missing.
// Real servers run on Linux only; elsewhere every kind counts as missing.
package integration
