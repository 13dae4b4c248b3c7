package contacts

import "testing"

func TestMeasure(t *testing.T) {
	f, err := MeasureFetch(t.Context(), 500, 2)
	if err != nil || f.Events != 1 || f.Wall <= 0 || f.Bytes < 500*80 {
		t.Errorf("%+v, %v", f, err)
	}
	st, err := MeasureStart(t.Context(), t.TempDir(), 200, 2)
	if err != nil || st.Login <= st.Whole || st.Stored <= st.Read || st.Diff <= 0 {
		t.Errorf("%+v, %v", st, err)
	}
	t.Logf("%+v\n%+v", f, st)
}
