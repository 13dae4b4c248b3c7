package muc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// All rooms of a service, page by page.
func ExampleMUC_EachRoom() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := xmpp.New(srv.Config("juliet"))
	m := muc.New(muc.Config{})
	if err := errors.Join(err, m.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"garden", "orchard"} {
		if _, err := m.Join(ctx, srv.Room(name), "Juliet", muc.JoinOptions{}); err != nil {
			fmt.Println(err)
		}
	}
	var names []string
	for room, err := range m.EachRoom(ctx, srv.RoomService(), 50) {
		if err != nil {
			fmt.Println(err)
			break
		}
		names = append(names, room.JID.Local())
	}
	slices.Sort(names)
	fmt.Println(names)
	fmt.Println(s.Close(ctx))
	// Output:
	// [garden orchard]
	// <nil>
}

// Hats are values that can be compared.
func ExampleHats() {
	o := muc.Occupant{Nick: "Nurse", Hats: muc.HatsOf(muc.Hat{URI: "https://example.org/hats#host", Title: "Host", Hue: -1})}
	fmt.Println(o.Hats, o.Hats.Has("https://example.org/hats#host"), o.Hats == muc.Hats{})
	// Output: Host true false
}

// warden is a moderator that gives everybody a voice who asks for it, and takes back what nobody should read.
type warden struct{}

func (warden) RoomDidReceiveVoiceRequest(ctx context.Context, r *muc.Room, v muc.VoiceRequest) {
	if _, err := r.AnswerVoiceRequest(ctx, v, v.Role == muc.RoleParticipant); err != nil {
		fmt.Println(err)
	}
}

func (warden) RoomDidReceiveRegistrationRequest(ctx context.Context, r *muc.Room, q muc.RegistrationRequest) {
	fmt.Println(q.Nick, "waits for an answer")
}

func (warden) RoomDidReceiveMessage(ctx context.Context, r *muc.Room, m *muc.Message) {
	if m.Body != "swears" || m.StanzaID == "" {
		return
	}
	go func() { // waits for an answer
		if err := r.Moderate(ctx, m.StanzaID, "No swearing"); errors.Is(err, muc.ErrNotSupported) {
			_ = r.Kick(ctx, m.Nick, "No swearing")
		}
	}()
}

func (warden) RoomDidModerateMessage(ctx context.Context, r *muc.Room, e muc.Moderation) {
	fmt.Println(e.StanzaID, "is to be shown no more:", e.Reason)
	if _, err := r.RemoveStored(ctx, e); err != nil {
		fmt.Println(err)
	}
}

// A moderator that does its work by itself.
func ExampleRequestDelegate() {
	m := muc.New(muc.Config{})
	m.AddDelegate(muc.Delegate{Request: warden{}, Message: warden{}, Moderation: warden{}}, nil)
}

// A nickname of one's own, in a room that registers them.
func ExampleMUC_RegisterNick() {
	ctx, m := context.Background(), muc.New(muc.Config{}) // active on a stream that is logged in
	garden := xmpp.MustParseJID("garden@conference.example.org")
	switch err := m.RegisterNick(ctx, garden, "Juliet"); {
	case errors.Is(err, stanza.Conflict):
		fmt.Println("somebody else has it")
	case errors.Is(err, stanza.RegistrationRequired):
		fmt.Println("for members only")
	case errors.Is(err, stanza.ServiceUnavailable), errors.Is(err, stanza.FeatureNotImplemented):
		fmt.Println("nobody can register there")
	}
}

// The picture of a room.
func ExampleRoom_SetAvatar() {
	ctx, m := context.Background(), muc.New(muc.Config{}) // active on a stream that is logged in
	room, err := m.Join(ctx, xmpp.MustParseJID("garden@conference.example.org"), "Juliet", muc.JoinOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := os.ReadFile("garden.png")
	if err == nil {
		err = room.SetAvatar(ctx, &muc.Avatar{Data: data})
	}
	if errors.Is(err, stanza.Forbidden) {
		fmt.Println("for owners")
	}
}
