package avatar_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// screen shows the avatars of contacts.
type screen chan string

func (s screen) AvatarDidChange(_ context.Context, _ *avatar.Avatar, c avatar.Change) {
	if c.Image != nil {
		s <- fmt.Sprintln(c.Of, "has a new picture:", c.Image.Type)
	}
}

func square(size int) []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, size, size)))
	return b.Bytes()
}

// Romeo publishes a picture, and Juliet, to whom he sends presence, sees it.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	juliet, err1 := xmpp.New(srv.Config("juliet"))
	romeo, err2 := xmpp.New(srv.Config("romeo"))
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	shown := make(screen, 1)
	a := avatar.New(avatar.Config{})
	a.AddDelegate(avatar.Delegate{Change: shown}, nil)
	mine := avatar.New(avatar.Config{})
	if err := errors.Join(a.Activate(juliet), mine.Activate(romeo), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(mine.Set(ctx, square(64)))
	fmt.Println(romeo.Send(ctx, stanza.NewPresence(stanza.Available, juliet.MyJID())))
	fmt.Print(<-shown)
	img, err := a.Photo(ctx, romeo.MyJID())
	fmt.Println(img.Type, err)
	hash, known := a.Hash(romeo.MyJID())
	fmt.Println(hash == img.Hash, known)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// <nil>
	// <nil>
	// romeo@example.test has a new picture: image/png
	// image/png <nil>
	// true true
	// <nil>
}

// What is drawn is decoded by the application, which looks at its size first.
func ExampleImage() {
	draw := func(img *avatar.Image) error {
		size, _, err := image.DecodeConfig(bytes.NewReader(img.Data))
		if err != nil || size.Width > 1024 || size.Height > 1024 {
			return fmt.Errorf("not drawn: %d × %d, %v", size.Width, size.Height, err)
		}
		_, _, err = image.Decode(bytes.NewReader(img.Data))
		return err
	}
	fmt.Println(draw(&avatar.Image{Data: square(32), Type: "image/png"}))
	fmt.Println(draw(&avatar.Image{Data: square(2000), Type: "image/png"}))
	// Output:
	// <nil>
	// not drawn: 2000 × 2000, <nil>
}

// One avatar in two formats; the second one is on the web.
func ExampleInfo() {
	webp := avatar.Info{Hash: avatar.Hash([]byte("…")), Type: "image/webp", Bytes: 1234, URL: "https://example.test/romeo.webp"}
	_ = func(ctx context.Context, a *avatar.Avatar) error { return a.Set(ctx, square(64), webp) }
	fmt.Println(webp.Hash)
	// Output: df316e17de9c36858417ba18e0da4da282dea84a
}
