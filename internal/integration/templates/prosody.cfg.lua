-- Prosody 0.12 and 13 for tests, on loopback only.
-- Written by internal/integration, which fills in what stands between double angle brackets.

data_path = "<<.Dir>>/data"
admin_socket = "<<.Dir>>/<<.AdminSocket>>"
pidfile = "<<.Dir>>/prosody.pid"
certificates = "<<.Dir>>/tls"
plugin_paths = { "<<.Dir>>/modules" }
log = { <<.Set.LogLevel>> = "*console" }
run_as_root = true

-- Ports
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { <<.Port.STARTTLS>> }
c2s_direct_tls_ports = { <<.Port.DirectTLS>> }
c2s_direct_tls_interfaces = { "127.0.0.1" }
component_ports = { <<.Port.Component>> }
component_interfaces = { "127.0.0.1" }
proxy65_ports = { <<.Port.Proxy65>> }
proxy65_interfaces = { "127.0.0.1" }
http_ports = { <<.Port.HTTP>> }
http_interfaces = { "127.0.0.1" }
https_ports = { <<.Port.HTTPS>> }
https_interfaces = { "127.0.0.1" }

-- TLS: one certificate names all domains
ssl = {
	certificate = "<<.Dir>>/tls/server.crt";
	key = "<<.Dir>>/tls/server.key";
	cafile = "<<.Dir>>/tls/ca.pem";
}
c2s_require_encryption = true

-- HTTP
http_external_url = "https://localhost:<<.Port.HTTPS>>/"
http_default_host = "localhost"
http_files_dir = "<<.Dir>>/files"
consider_bosh_secure = true
consider_websocket_secure = true
bosh_max_inactivity = 30

-- Limits that would disturb tests are wide
c2s_stanza_size_limit = <<.Set.StanzaSize>>
c2s_timeout = 60
c2s_close_timeout = 2
smacks_hibernation_time = <<.Set.ResumeTimeout>>
smacks_max_queue_size = 50000 -- 500, the default, ends fast senders
smacks_max_unacked_stanzas = 50
allow_registration = true
registration_invite_only = false -- mod_invites_register would close registration
archive_expires_after = "never"
default_archive_policy = true
max_archive_query_results = 50
storage_archive_item_limit = 100000
muc_log_by_default = true
muc_log_expires_after = "never"

-- Clear text passwords: PLAIN, SCRAM-SHA-1 and SCRAM-SHA-256 all work
authentication = "internal_plain"
default_storage = "internal"
disable_sasl_mechanisms = {}
admins = { "admin@localhost", "admin@xmpp.test", "admin@invited.test" }

contact_info = { admin = { "xmpp:admin@localhost" }; support = { "mailto:support@localhost" } }
external_services = {
	{ type = "stun"; transport = "udp"; host = "127.0.0.1"; port = <<.Port.STUN>> };
	{ type = "turn"; transport = "udp"; host = "127.0.0.1"; port = <<.Port.STUN>>; secret = "turn-secret"; ttl = 3600 };
}

modules_disabled = { "s2s" }
modules_enabled = {
	"roster"; "saslauth"; "tls"; "disco"; "ping"; "version"; "time"; "uptime"; "lastactivity"; "offline";
	"carbons"; "csi"; "csi_simple"; "smacks"; "blocklist";
	"pep"; "private"; "bookmarks"; "vcard4"; "vcard_legacy";
	"register"; "user_account_management"; "adhoc"; "admin_adhoc"; "admin_shell";
	"bosh"; "websocket"; "http_files"; "server_contact_info"; "external_services";
<<- if not .New>>
	"posix"; "sasl2_bridge";
<<- end>>
}

-- Everything on
VirtualHost "localhost"
	modules_enabled = {
		"mam"; "cloud_notify"; "lastlog2"; "announce"; "invites"; "invites_adhoc"; "invites_register";
		"sasl2"; "sasl2_bind2"; "sasl2_fast";
<<- if .New>>
		"sasl2_sm"; "sasl_ssdp"; "http_altconnect"; "spam_reporting";
<<- end>>
	}
	disco_items = { { "echo.localhost"; "an external component" } }

-- Close to RFC 6120 and 6121
VirtualHost "xmpp.test"
	modules_enabled = { "privacy_lists" }
	modules_disabled = { "s2s"; "blocklist" }

VirtualHost "tls12.test"
	ssl = { certificate = "<<.Dir>>/tls/server.crt"; key = "<<.Dir>>/tls/server.key"; protocol = "tlsv1_2" }

VirtualHost "hashed.test"
	authentication = "internal_hashed"

VirtualHost "hashed256.test"
	authentication = "internal_hashed"
	password_hash = "SHA-256"

VirtualHost "anon.test"
	authentication = "anonymous"

-- The user is whom the certificate's xmppAddr names
VirtualHost "cert.test"
	authentication = "ccert"
	certificate_match = "xmppaddr"
	ssl = {
		certificate = "<<.Dir>>/tls/server.crt"; key = "<<.Dir>>/tls/server.key";
		cafile = "<<.Dir>>/tls/ca.pem"; capath = false; verify = { "peer" };
	}

VirtualHost "plain.test"
	authentication = "internal_hashed" -- 13 leaves accounts of the other kind switched off, which XEP-0078 looks at
	c2s_require_encryption = false
	allow_unencrypted_plain_auth = true
	modules_enabled = { "legacyauth" }
	modules_disabled = { "s2s"; "tls" }

VirtualHost "invited.test"
	modules_enabled = { "invites"; "invites_adhoc"; "invites_register" }
	registration_invite_only = true

Component "conference.localhost" "muc"
	name = "Rooms"
	modules_enabled = { "muc_mam"; "muc_unique"; "muc_moderation"<<if not .New>>; "vcard_muc"<<end>> }
	restrict_room_creation = false
	muc_room_default_public = true
	muc_room_default_persistent = false
	muc_room_locking = true

Component "conference.xmpp.test" "muc"
	restrict_room_creation = false
	muc_room_locking = false

Component "pubsub.localhost" "pubsub"
	autocreate_on_publish = true
	autocreate_on_subscribe = true
	default_admin_affiliation = "owner"
<<- if .New>>
	add_permissions = { ["prosody:registered"] = { "pubsub:create-node" } }
<<- end>>

Component "upload.localhost" "http_file_share"
	http_host = "localhost"
	http_file_share_size_limit = 1024*1024
	http_file_share_daily_quota = 100*1024*1024

Component "proxy.localhost" "proxy65"
	proxy65_address = "127.0.0.1"
	proxy65_acl = { "localhost"; "xmpp.test" }

Component "search.localhost" "vjud"
	vjud_mode = "all"

Component "echo.localhost"
	component_secret = "<<.ComponentSecret>>"

Component "comp.xmpp.test"
	component_secret = "<<.ComponentSecret>>"
