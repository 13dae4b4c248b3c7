package jid_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-xmppframework/xmpp/jid"
)

func Example() {
	a := jid.MustParse("Juliet@Example.com./Balcony")
	b, err := jid.New("juliet", "example.com", "Balcony")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a)
	fmt.Println(a == b)
	// Output:
	// juliet@example.com/Balcony
	// true
}

func ExampleJID() {
	j := jid.MustParse("juliet@example.com/balcony")
	fmt.Println(j.Local(), j.Domain(), j.Resource())
	fmt.Println(j.Bare(), j.DomainJID())
	fmt.Println(j.IsFull(), j.Bare().IsFull())

	online := map[jid.JID]bool{j.Bare(): true}
	fmt.Println(online[jid.MustParse("JULIET@example.com")])
	// Output:
	// juliet example.com balcony
	// juliet@example.com example.com
	// true false
	// true
}

func ExampleJID_WithResource() {
	room := jid.MustParse("garden@chat.example.com")
	occupant, err := room.WithResource("Juliet C.")
	fmt.Println(occupant, err)
	// Output: garden@chat.example.com/Juliet C. <nil>
}

func ExampleJID_Compare() {
	list := []jid.JID{
		jid.MustParse("romeo@montague.example"),
		jid.MustParse("juliet@capulet.example"),
		jid.MustParse("capulet.example"),
	}
	slices.SortFunc(list, jid.JID.Compare)
	fmt.Println(list)
	// Output: [capulet.example juliet@capulet.example romeo@montague.example]
}

func ExampleJID_ASCIIDomain() {
	j := jid.MustParse("julia@Bücher.example")
	a, err := j.ASCIIDomain()
	fmt.Println(j.Domain(), a, err)
	// Output: bücher.example xn--bcher-kva.example <nil>
}

func ExampleJID_Skeleton() {
	known := jid.MustParse("paypal@example.com")
	asking := jid.MustParse("p\u0430ypal@example.com") // with a Cyrillic letter
	fmt.Println("same address:", known == asking)
	fmt.Println("looks the same:", known.Skeleton() == asking.Skeleton())
	fmt.Println("mixes scripts:", asking.MixedScript())
	// Output:
	// same address: false
	// looks the same: true
	// mixes scripts: true
}

func ExampleMask() {
	phone := jid.MustParse("juliet@example.com/phone")
	laptop := jid.MustParse("juliet@example.com/laptop")
	fmt.Println(phone.EqualMask(laptop, jid.MaskBare))
	fmt.Println(phone.EqualMask(laptop, jid.MaskFull))
	fmt.Println(phone.EqualMask(laptop, jid.MaskDomain|jid.MaskResource))
	// Output:
	// true
	// false
	// false
}

func ExampleParseError() {
	_, err := jid.Parse("ro meo@example.com")
	var pe *jid.ParseError
	if errors.As(err, &pe) {
		fmt.Println(pe.Part)
	}
	fmt.Println(errors.Is(err, jid.ErrInvalid))
	// Output:
	// localpart
	// true
}

func ExampleEscape() {
	local, err := jid.Escape("d'artagnan")
	if err != nil {
		fmt.Println(err)
		return
	}
	j, err := jid.New(local, "musketeers.example", "")
	fmt.Println(j, err)
	fmt.Println(jid.Unescape(j.Local()))
	// Output:
	// d\27artagnan@musketeers.example <nil>
	// d'artagnan
}
