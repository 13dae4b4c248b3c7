package pubsub

import (
	"maps"
	"slices"

	"github.com/go-xmppframework/xmpp/stanza/form"
)

// The types of nodes (XEP-0248): values of [NodeType].
const (
	Leaf           = "leaf"       // has items; the default
	CollectionNode = "collection" // has nodes
)

// Names of the options of nodes and of what is told about them (XEP-0060 sections 16.4.3 and 16.4.4, XEP-0248).
const (
	AccessModel           = "pubsub#access_model"             // open, presence, roster, authorize, whitelist
	PublishModel          = "pubsub#publish_model"            // publishers, subscribers, open
	PersistItems          = "pubsub#persist_items"            // true, false
	MaxItems              = "pubsub#max_items"                // a number, or max
	SendLastPublishedItem = "pubsub#send_last_published_item" // never, on_sub, on_sub_and_presence
	NotificationType      = "pubsub#notification_type"        // normal, headline
	DeliverPayloads       = "pubsub#deliver_payloads"         // true, false
	NotifyRetract         = "pubsub#notify_retract"           // true, false
	NotifyDelete          = "pubsub#notify_delete"            // true, false
	Title                 = "pubsub#title"                    // text
	Description           = "pubsub#description"              // text
	Language              = "pubsub#language"                 // a language
	PayloadType           = "pubsub#type"                     // the namespace of the payloads
	Contact               = "pubsub#contact"                  // addresses for questions
	DeliverNotifications  = "pubsub#deliver_notifications"    // true, false
	PresenceBasedDelivery = "pubsub#presence_based_delivery"  // true, false: to those online alone
	NotifyConfig          = "pubsub#notify_config"            // true, false
	NotifySub             = "pubsub#notify_sub"               // true, false: owners are told of subscriptions
	ItemExpire            = "pubsub#item_expire"              // seconds, or max
	ItemReply             = "pubsub#itemreply"                // owner, publisher
	MaxPayloadSize        = "pubsub#max_payload_size"         // bytes
	RosterGroupsAllowed   = "pubsub#roster_groups_allowed"    // for the access model roster
	AllowSubscriptions    = "pubsub#subscribe"                // true, false
	TemporarySubs         = "pubsub#tempsub"                  // true, false: subscriptions last until the subscriber goes
	PurgeOffline          = "pubsub#purge_offline"            // true, false
	NodeType              = "pubsub#node_type"                // leaf, collection
	InCollection          = "pubsub#collection"               // the collections that a node belongs to
	ChildNodes            = "pubsub#children"                 // the nodes of a collection
	ChildrenMax           = "pubsub#children_max"             // a number
	Creator               = "pubsub#creator"                  // metadata: who has made it
	CreationDate          = "pubsub#creation_date"            // metadata: when, a time of XEP-0082
	NumSubscribers        = "pubsub#num_subscribers"          // metadata: how many
)

// Names of the options of subscriptions (XEP-0060 section 16.4.2).
const (
	Deliver           = "pubsub#deliver"            // true, false: whether events are sent
	Digest            = "pubsub#digest"             // true, false: whether they are collected
	DigestFrequency   = "pubsub#digest_frequency"   // milliseconds
	Expire            = "pubsub#expire"             // a time of XEP-0082, or presence
	IncludeBody       = "pubsub#include_body"       // true, false: whether messages have a text for people
	ShowValues        = "pubsub#show-values"        // away, chat, dnd, online, xa: when events are sent
	SubscriptionType  = "pubsub#subscription_type"  // items, nodes: of a collection
	SubscriptionDepth = "pubsub#subscription_depth" // 1, all: of a collection
)

// Options are fields of a form by name, each with its values: mostly one, several for lists.
// The field FORM_TYPE is not among them.
type Options map[string][]string

// NewOptions makes options of names and single values by turns. It panics if a value is missing.
func NewOptions(pairs ...string) Options {
	if len(pairs)%2 != 0 {
		panic("pubsub: NewOptions: a name without a value")
	}
	o := make(Options, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		o[pairs[i]] = []string{pairs[i+1]}
	}
	return o
}

// Get is the first value of a field, empty if there is none.
func (o Options) Get(name string) string {
	if v := o[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Set gives a field its values.
func (o Options) Set(name string, values ...string) { o[name] = values }

// form makes a submitted form (XEP-0004) of that type; fields are in the order of their names.
func (o Options) form(formType string) *form.Form {
	f := form.New(form.TypeSubmit, formType)
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if name != form.FormTypeVar {
			f.Set(name, o[name]...)
		}
	}
	return f
}

// OptionsOf takes the values out of a form, such as one that a person has filled in. The error matches [form.ErrDuplicate]:
// a form in which a name is there twice says nothing.
func OptionsOf(f *form.Form) (Options, error) {
	if f == nil {
		return nil, nil
	}
	return optionsOfForm(f)
}

func optionsOfForm(f *form.Form) (Options, error) {
	o := make(Options, len(f.Fields))
	for _, field := range f.Fields {
		if field.Var == "" || field.Var == form.FormTypeVar {
			continue
		}
		if _, twice := o[field.Var]; twice {
			return nil, &form.FieldError{Var: field.Var, Err: form.ErrDuplicate}
		}
		o[field.Var] = field.Values
	}
	return o, nil
}

// metBy reports whether a node that is configured so is what the options demand.
func (o Options) metBy(config Options) bool {
	for name, want := range o {
		have, ok := config[name]
		switch {
		case name == form.FormTypeVar:
		case name == MaxItems && o.Get(name) == "max" && config.Get(name) != "": // services name their own number
		case !ok || !slices.EqualFunc(normal(want), normal(have), sameValue):
			return false
		}
	}
	return true
}

func normal(values []string) []string {
	return slices.Sorted(slices.Values(values))
}

// sameValue compares values; a boolean has two spellings of each.
func sameValue(a, b string) bool { return a == b || boolean(a) != 0 && boolean(a) == boolean(b) }

func boolean(s string) int {
	switch s {
	case "true", "1":
		return 1
	case "false", "0":
		return -1
	}
	return 0
}
