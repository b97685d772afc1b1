package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What is too long for an entry is cut, and the entry says what the whole was. It is never refused: an act must not be missing because somebody said too much.
func TestEntry_cutsWhatIsTooLong(t *testing.T) {
	f := newFolder(t, 1)
	loud := strings.Repeat("\x01", 3*maxText) // of which JSON makes six octets each
	long := &Entry{Kind: Audit, Subject: loud, Who: loud, Why: loud}
	for i := range 1000 {
		long.Facts = append(long.Facts, Fact{fmt.Sprint("fact ", i), strings.Repeat("x", 100)})
	}
	if err := f.l.Append(began.Add(24*time.Hour), long, &Entry{Kind: Audit, Subject: "short", Why: strings.Repeat("y", maxText+1)}); err != nil {
		t.Fatal(err)
	}
	var last []Entry
	if err := Each(f.l.dir, func(e Entry) bool { last = append(last, e); return true }); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(last[1].Facts)
	if !strings.Contains(text, "left out") || !strings.Contains(text, "SHA-256 of all facts") || !strings.Contains(text, "fact 0") || !strings.Contains(last[1].Who, "SHA-256") {
		t.Errorf("%.300s %.300s", text, last[1].Who)
	}
	if why := last[2].Why; !strings.HasPrefix(why, "yyyy") || !strings.Contains(why, fmt.Sprintf("(%d octets, SHA-256 ", maxText+1)) || len(why) > maxText {
		t.Errorf("%d %.300s", len(why), why)
	}
}

// A view that is looked at now and then says what reading everything says; also when the ledger was exchanged.
func TestView_readsOn(t *testing.T) {
	f := newFolder(t, 3)
	v := NewView(2)
	same := func() {
		t.Helper()
		got, err := v.Look(f.l.dir)
		if err != nil {
			t.Fatal(err)
		}
		want, err := NewView(2).Look(f.l.dir)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v\n%v %v", got, want, err)
		}
		if int64(got.Entries) != f.l.Size() {
			t.Errorf("%d of %d entries", got.Entries, f.l.Size())
		}
	}
	same()
	for i := range 5 {
		f.segment()
		if err := f.l.Append(began.Add(time.Duration(10+i)*time.Hour), &Entry{Kind: Audit, Subject: fmt.Sprint("act ", i)}); err != nil {
			t.Fatal(err)
		}
		same()
	}
	if seen, _ := v.Look(f.l.dir); seen.Segments != 8 || len(seen.Recent) != 2 || seen.Recent[0].Subject != "act 4" {
		t.Errorf("%+v", seen)
	}
	other := newFolder(t, 1)
	f.l, f.dir = other.l, other.dir
	same()
}
