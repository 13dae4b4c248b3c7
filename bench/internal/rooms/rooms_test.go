package rooms

import "testing"

func TestMeasure(t *testing.T) {
	v, err := Measure(t.Context(), 300, 2)
	if err != nil || v.Events != 2*300+1 || v.Join <= 0 || v.Leave <= 0 || v.Bytes < 300*300 {
		t.Errorf("%+v, %v", v, err)
	}
	t.Logf("%+v", v)
}
