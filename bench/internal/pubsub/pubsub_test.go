package pubsub

import (
	"os"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/integration"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

func TestMeasure(t *testing.T) {
	for _, kind := range []integration.Kind{integration.Ejabberd, integration.Prosody} {
		t.Run(string(kind), func(t *testing.T) {
			srv := integration.Shared(t, kind)
			if kind == integration.Ejabberd { // Prosody knows no pages
				v, err := Pages(t.Context(), srv, 250, 100)
				if err != nil || v.Missing != 0 || v.Out <= 0 || v.In <= 0 || v.CPUOut <= 0 || v.CPUIn <= 0 {
					t.Errorf("%+v, %v", v, err)
				}
				t.Logf("%+v", v)
			}
			d, err := Deliver(t.Context(), srv, 60, 10)
			if err != nil || d.Came != 600 || d.Disorder != 0 || d.Rate <= 0 || d.CPU <= 0 {
				t.Errorf("%+v, %v", d, err)
			}
			t.Logf("%+v", d)
		})
	}
}
