package pending

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A queue gives questions in order of when they are due, first come first where that is equal, and never one that was dropped.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w queue
		var there []*question // in order
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				p, due := &question{}, int64(rapid.IntRange(0, 9).Draw(t, "due"))
				w.push(p, due)
				at := len(there)
				for at > 0 && there[at-1].due > due {
					at--
				}
				there = slices.Insert(there, at, p)
			case 2:
				if len(there) > 0 {
					i := rapid.IntRange(0, len(there)-1).Draw(t, "which")
					there[i].drop()
					there[i].drop() // twice is once
					there = slices.Delete(there, i, i+1)
				}
			case 3:
				now := int64(rapid.IntRange(0, 9).Draw(t, "now"))
				var want *question
				if len(there) > 0 && there[0].due <= now {
					want, there = there[0], there[1:]
				}
				if got := w.pop(now); got != want {
					t.Fatalf("pop(%d) gave %v, not %v", now, got, want)
				}
			}
			var list, back []*question
			for p := w.first; p != nil; p = p.next {
				list = append(list, p)
			}
			for p := w.last; p != nil; p = p.prev {
				back = append(back, p)
			}
			slices.Reverse(back)
			if !slices.Equal(list, there) || !slices.Equal(back, there) {
				t.Fatal("the queue has lost its order")
			}
		}
	})
}
