package integration

import "slices"

// Feature is something that not every server can do. What all four can do has no name here:
// STARTTLS, direct TLS, TLS 1.3, PLAIN, SCRAM-SHA-1 and -256, SCRAM-SHA-1-PLUS with tls-unique on TLS 1.2, ANONYMOUS, EXTERNAL,
// clear text, XEP-0078, stream management with resumption, CSI, carbons, blocking, push, archives, PEP, MUC, in-band registration,
// uploads, SOCKS5 proxy, BOSH, WebSocket, components, search, external services, roster versioning.
// Some of these have a name all the same, so that a test can say what it needs.
type Feature string

// The features. Unless said otherwise they are those of the domain [Full].
const (
	TLS13                   Feature = "TLS 1.3"
	TLS12Only               Feature = "a port with TLS 1.2 at most"
	TLSUnique               Feature = "SCRAM-PLUS with tls-unique on TLS 1.2"
	ChannelBindingExporter  Feature = "SCRAM-PLUS with tls-exporter"
	ChannelBindingEndPoint  Feature = "SCRAM-PLUS with tls-server-end-point"
	BindingList             Feature = "the list of channel bindings (XEP-0440)"
	DowngradeProtection     Feature = "SCRAM downgrade protection (XEP-0474)"
	SCRAM512                Feature = "SCRAM-SHA-512"
	DigestMD5               Feature = "DIGEST-MD5"
	Anonymous               Feature = "ANONYMOUS"
	External                Feature = "EXTERNAL"
	ClearText               Feature = "clients without TLS"
	LegacyAuth              Feature = "XEP-0078 with a password"
	LegacyDigest            Feature = "XEP-0078 with a digest"
	XOAuth2                 Feature = "X-OAUTH2 offered"
	SASL2                   Feature = "SASL2 (XEP-0388)"
	Bind2                   Feature = "Bind 2 (XEP-0386)"
	FAST                    Feature = "FAST (XEP-0484)"
	InlineSM                Feature = "stream management inside SASL2"
	SCRAMUpgrade            Feature = "SCRAM upgrade offered (XEP-0480)"
	Compression             Feature = "zlib (XEP-0138), after authentication"
	StreamLimits            Feature = "stream limits (XEP-0478)"
	PreApproval             Feature = "subscription pre-approval"
	BlockPresence           Feature = "presence follows blocking: unavailable to who is blocked, available to who is not any more"
	PrivateByName           Feature = "private storage (XEP-0049) by name and namespace, not by namespace alone"
	PrivacyListsFull        Feature = "privacy lists on the full domain"
	ArchiveIDs              Feature = "archive queries by id and metadata (mam:2#extended)"
	PublishMaxItems         Feature = "publish options with pubsub#max_items"
	PubSubCreate            Feature = "PubSub nodes made by ordinary users"
	RetractEvents           Feature = "contacts told of retracted PEP items"
	VCardVerbatim           Feature = "vCards (XEP-0054) kept as they were sent, and not made of PEP items"
	VCard4IQ                Feature = "vCards of version 4 by plain requests (XEP-0292 before version 0.12)"
	Moderation              Feature = "MUC moderation, urn:xmpp:message-moderate:0"
	Moderation1             Feature = "MUC moderation, urn:xmpp:message-moderate:1"
	OccupantID              Feature = "occupant ids (XEP-0421)"
	MUCSub                  Feature = "MUC/Sub"
	Multicast               Feature = "multicast (XEP-0033)"
	RoomLocking             Feature = "new rooms locked until configured"
	RoomRegistration        Feature = "registration with a room (XEP-0045 section 7.10)"
	RoomServiceRegistration Feature = "registration with the service of rooms as a whole"
	ReservedNick            Feature = "the registered nickname by service discovery (XEP-0045 section 7.12)"
	RoomHats                Feature = "hats (XEP-0317) that owners can give"
	RoomAvatarHash          Feature = "the hash of a room's picture by service discovery (XEP-0486)"
	RoomPages               Feature = "the list of rooms page by page (XEP-0059)"
	RoomItems               Feature = "rooms that list their occupants by service discovery (XEP-0045 section 6.5)"
	RoomLogging             Feature = "rooms that say whether they are logged (status 170 and 171)"
	RoomMaxUsers            Feature = "rooms for so many occupants at most"
	RoomContinue            Feature = "invitations by rooms that say that a conversation goes on"
	RoomPrivateToAll        Feature = "private messages to all clients with a nickname"
	HostMeta                Feature = "host-meta (XEP-0156)"
	TURN                    Feature = "a built-in STUN and TURN server"
	AnyComponent            Feature = "components of any name"
	Invitations             Feature = "invitations at the domain Invited (XEP-0401, XEP-0379, XEP-0445)"
)

// everyKind lists what all kinds can do and has a name.
var everyKind = []Feature{TLS13, TLSUnique, Anonymous, External, ClearText, LegacyAuth}

// features says what each kind can do besides; it was measured, not read off a manual.
var features = map[Kind][]Feature{
	Prosody: {
		TLS12Only, SASL2, Bind2, FAST, PreApproval, BlockPresence, PrivateByName, ArchiveIDs, PublishMaxItems, RetractEvents, VCard4IQ, Moderation, OccupantID, RoomLocking,
		RoomRegistration, ReservedNick, RoomAvatarHash, RoomLogging, RoomPrivateToAll, Invitations,
	},
	Prosody13: {
		TLS12Only, ChannelBindingExporter, BindingList, DowngradeProtection, SASL2, Bind2, FAST, InlineSM, StreamLimits, PreApproval, BlockPresence, PrivateByName,
		ArchiveIDs, PublishMaxItems, RetractEvents, VCard4IQ, PubSubCreate, Moderation, Moderation1, OccupantID, RoomLocking, HostMeta,
		RoomRegistration, ReservedNick, RoomAvatarHash, RoomLogging, RoomPrivateToAll, Invitations,
	},
	Ejabberd: {
		TLS12Only, SCRAM512, DigestMD5, LegacyDigest, XOAuth2, Compression, PrivacyListsFull, VCardVerbatim, PubSubCreate, MUCSub, Multicast,
		HostMeta, TURN, AnyComponent, RoomServiceRegistration, RoomMaxUsers, RoomContinue, RoomPrivateToAll, RoomPages, RoomItems,
	},
	Ejabberd26: {
		ChannelBindingExporter, ChannelBindingEndPoint, BindingList, DowngradeProtection, SCRAM512, DigestMD5, LegacyDigest, XOAuth2,
		SASL2, Bind2, FAST, InlineSM, SCRAMUpgrade, Compression, PreApproval, PrivacyListsFull, PublishMaxItems, RetractEvents, VCardVerbatim, PubSubCreate,
		Moderation, Moderation1, OccupantID, MUCSub, Multicast, HostMeta, TURN, AnyComponent,
		RoomRegistration, RoomServiceRegistration, RoomHats, RoomAvatarHash, RoomMaxUsers, RoomContinue, RoomPrivateToAll, RoomPages, RoomItems, Invitations,
	},
}

// Has reports whether servers of the kind can do all of that.
func (k Kind) Has(need ...Feature) bool {
	for _, f := range need {
		if !slices.Contains(everyKind, f) && !slices.Contains(features[k], f) {
			return false
		}
	}
	return true
}
