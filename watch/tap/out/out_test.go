package out

import (
	"log/slog"
	"testing"

	"anyu/event"
)

// Where nobody reads, what waits is bounded and the rest is counted; nothing is sent for others.
func TestSender_dropsWhatNobodyTakes(t *testing.T) {
	s := New("unix", "/not/there", "x", slog.New(slog.DiscardHandler))
	q := event.Query{Has: event.HasQuery | event.HasReply, Name: []byte("\x01a\x00"), Type: 1, Class: 1, ReplySize: 19, Reply: make([]byte, 19)}
	const n = 100_000
	for range n {
		s.Observe(&q)
	}
	s.hand()
	waiting := uint64(0)
	for len(s.queue) > 0 {
		waiting += (<-s.queue).frames
	}
	if s.Dropped() == 0 || s.Dropped()+waiting != 2*n {
		t.Errorf("%d dropped, %d waited, of %d", s.Dropped(), waiting, 2*n)
	}
	q.Source = 1
	if s.Observe(&q); s.batch.frames != 0 {
		t.Error("an observation of a tap was sent")
	}
}

// The start of a message keeps its whole records and their counts; any cut is a message.
func TestWhole_keepsWholeRecords(t *testing.T) {
	record := "\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\x0A\x00\x00\x01"
	m := "\x00\x01\x80\x00\x00\x01\x00\x02\x00\x00\x00\x01" + "\x01a\x00\x00\x01\x00\x01" + record + record + record
	for cut := 12; cut <= len(m); cut++ {
		b := whole([]byte(m[:cut]))
		records := max(0, cut-19) / 16
		want := 12
		if cut >= 19 {
			want = 19 + 16*records
		}
		got := int(b[7]) + int(b[9]) + int(b[11])
		if len(b) != want || got != records {
			t.Errorf("cut at %d: %d octets with %d records, want %d and %d", cut, len(b), got, want, records)
		}
	}
}
