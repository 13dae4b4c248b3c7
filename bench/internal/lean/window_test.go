package lean

import (
	"strings"
	"testing"
	"testing/iotest"
)

// However the bytes are cut, each needle is found once.
func TestWindow(t *testing.T) {
	text := strings.Repeat("<iq id='1'/><message to='a'><body>x</body></message><presence/><r xmlns='urn:xmpp:sm:3'/>", 9)
	for name, r := range map[string]*Window{"whole": {}, "bytes": {}} {
		t.Run(name, func(t *testing.T) {
			in := iotest.OneByteReader(strings.NewReader(text))
			if name == "whole" {
				in = strings.NewReader(text)
			}
			stanzas, requests, ends := 0, 0, 0
			for {
				got, err := r.Read(in)
				if err != nil {
					break
				}
				if len(got) == 0 {
					t.Fatal("read nothing")
				}
				stanzas, requests, ends = stanzas+r.CountStanzas(), requests+r.CountRequests(), ends+r.Count(messageEnd)
			}
			if stanzas != 27 || requests != 9 || ends != 9 {
				t.Errorf("%d stanzas, %d requests, %d ends; want 27, 9, 9", stanzas, requests, ends)
			}
		})
	}
}
