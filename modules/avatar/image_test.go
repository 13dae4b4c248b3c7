package avatar

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
)

// TestSec_FILE08_Decode: what is too long is not decoded, and costs nothing.
func TestSec_FILE08_Decode(t *testing.T) {
	for n, want := range map[int]error{0: nil, 1000: nil, 1500: nil, 5000: ErrTooBig, 50 << 20: ErrTooBig} { // above the limit newImage decides
		text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n))
		var data []byte
		var err error
		allocated := testing.AllocsPerRun(1, func() { data, err = decodeData(text, 1000) })
		if !errors.Is(err, want) || err == nil && len(data) != n || want != nil && allocated > 0 {
			t.Errorf("%d bytes: %d, %v, %v allocations", n, len(data), err, allocated)
		}
	}
	if _, err := decodeData("!!!", 1000); !errors.Is(err, ErrType) {
		t.Error(err)
	}
}
