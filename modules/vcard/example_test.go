package vcard_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// keeper makes the server in this program keep vCards, as real ones do.
func keeper() xmpptest.Option {
	cards := map[string]*etree.Element{} // by account
	return xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, reply func(string)) bool {
		iq, err := stanza.IQFrom(e)
		card := stanza.Child(e, "vCard", vcard.NS)
		if err != nil || card == nil {
			return false
		}
		of := iq.To().Bare().String()
		if iq.To().IsZero() {
			of = from.Bare().String()
		}
		answer := iq.Result(nil)
		switch {
		case iq.IsSet():
			cards[of] = stanza.Detach(card)
		case cards[of] == nil:
			answer = iq.Error(stanza.ItemNotFound)
		default:
			answer = iq.Result(stanza.Raw(cards[of]))
		}
		reply(stanza.Compact(answer.Element()))
		return true
	})
}

// Set the own vCard, and look at that of somebody else. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(keeper())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}

	v := vcard.New(vcard.Config{})
	if err := errors.Join(v.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	err = v.EditMyVCard(ctx, func(c *vcard.Card) error {
		c.FormattedName = "Juliet Capulet"
		c.Phones = append(c.Phones, vcard.Phone{Flags: vcard.Home | vcard.Voice, Number: "+39-045-1595"})
		return nil
	})
	fmt.Println(err)
	card, err := v.MyVCard(ctx)
	fmt.Println(card.FormattedName, card.Phones[0].Flags, card.Phones[0].Number, err)
	_, err = v.Fetch(ctx, srv.JID("romeo"))
	fmt.Println(errors.Is(err, vcard.ErrNoVCard))
	fmt.Println(s.Close(ctx))
	// Output:
	// <nil>
	// Juliet Capulet HOME VOICE +39-045-1595 <nil>
	// true
	// <nil>
}

// A photo is set without touching the rest of the vCard. Its hash is what modules/avatar tells others.
func ExampleVCard_SetMyPhoto() {
	srv := xmpptest.StartServer(keeper())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	v := vcard.New(vcard.Config{})
	if err := errors.Join(v.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.UpdateMyVCard(ctx, &vcard.Card{FormattedName: "Juliet"}))
	fmt.Println(v.SetMyPhoto(ctx, []byte("\x89PNG\r\n\x1a\n …"), ""))
	card, err := v.MyVCard(ctx)
	fmt.Println(card.FormattedName, card.Photo.Type, card.PhotoHash(), err)
	fmt.Println(s.Close(ctx))
	// Output:
	// <nil>
	// <nil>
	// Juliet image/png 5b250de69dc898e5cbe93cdcdc4b37a3e495b141 <nil>
	// <nil>
}

// listener hears of vCards that were fetched.
type listener struct{}

func (listener) VCardDidReceive(_ context.Context, _ *vcard.VCard, of xmpp.JID, card *vcard.Card) {
	fmt.Println(of, "is", card.FormattedName)
}
func (listener) VCardDidFailToFetch(_ context.Context, _ *vcard.VCard, of xmpp.JID, err error) {
	fmt.Println(of, "has none:", errors.Is(err, vcard.ErrNoVCard))
}

// The program learns of vCards whoever has asked for them.
func ExampleDelegate() {
	v := vcard.New(vcard.Config{MaxAge: 7 * 24 * time.Hour})
	remove := v.AddDelegate(vcard.Delegate{Fetch: listener{}}, nil)
	fmt.Println(remove(context.Background()))
	// Output: <nil>
}

func ExampleCard() {
	c := &vcard.Card{
		FormattedName: "Juliet Capulet",
		Name:          vcard.Name{Family: "Capulet", Given: "Juliet"},
		Birthday:      vcard.Date{Month: time.July, Day: 31}.String(),
		Addresses:     []vcard.Address{{Flags: vcard.Home, Street: "Via Cappello 23", Locality: "Verona"}},
		Emails:        []vcard.Email{{Flags: vcard.Internet, UserID: "juliet@example.test"}},
		Organization:  vcard.Organization{Name: "House of Capulet"},
		Class:         vcard.Private,
	}
	c.Emails = nil // clears a list
	fmt.Println(stanza.Pretty(c.Element()))
	// Output:
	// <vCard xmlns="vcard-temp">
	//   <FN>Juliet Capulet</FN>
	//   <N>
	//     <FAMILY>Capulet</FAMILY>
	//     <GIVEN>Juliet</GIVEN>
	//   </N>
	//   <BDAY>--07-31</BDAY>
	//   <ADR>
	//     <HOME/>
	//     <STREET>Via Cappello 23</STREET>
	//     <LOCALITY>Verona</LOCALITY>
	//   </ADR>
	//   <ORG>
	//     <ORGNAME>House of Capulet</ORGNAME>
	//   </ORG>
	//   <CLASS>
	//     <PRIVATE/>
	//   </CLASS>
	// </vCard>
}

func ExampleCard4() {
	c := new(vcard.Card4)
	c.Add(
		vcard.NewProperty("fn", "text", "Juliet Capulet"),
		vcard.NewProperty("tel", "uri", "tel:+39-045-1595").With("type", "home").With("pref", "1"),
	)
	fmt.Println(c.FormattedName(), c.Get("tel").HasType("home"), c.Card().Phones[0].Flags)
	fmt.Println(stanza.Pretty(c.Element()))
	// Output:
	// Juliet Capulet true HOME PREF
	// <vcard xmlns="urn:ietf:params:xml:ns:vcard-4.0">
	//   <fn>
	//     <text>Juliet Capulet</text>
	//   </fn>
	//   <tel>
	//     <parameters>
	//       <type>
	//         <text>home</text>
	//       </type>
	//       <pref>
	//         <integer>1</integer>
	//       </pref>
	//     </parameters>
	//     <uri>tel:+39-045-1595</uri>
	//   </tel>
	// </vcard>
}

// What is fetched stays in a place of one's own; here it is less memory than by default.
func ExampleMemoryStorage() {
	m := vcard.MemoryStorage()
	m.SetLimits(100, 4<<20)
	v := vcard.New(vcard.Config{Storage: m})
	fmt.Println(v.Name())
	// Output: vcard
}

func ExampleParseDate() {
	for _, s := range []string{"1595-07-31", "--0731", "yesterday"} {
		fmt.Println(vcard.ParseDate(s))
	}
	// Output:
	// 1595-07-31 <nil>
	// --07-31 <nil>
	//  vcard: not a date
}
