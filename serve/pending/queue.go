package pending

// queue holds questions in the order in which they are due. All that are put into one wait equally long, so a new one goes to the end but after a reload;
// a question that ends is taken out at once, and nothing remembers it (stops: memory that grows with the rate of questions times the longest wait).
type queue struct{ first, last *question }

// place is where a question stands: in at most one queue.
type place struct {
	in         *queue
	due        int64 // ns since 1970
	prev, next *question
}

func (w *queue) push(p *question, due int64) {
	before := w.last
	for before != nil && before.due > due {
		before = before.prev
	}
	p.place = place{in: w, due: due, prev: before, next: w.first}
	if before != nil {
		p.next = before.next
		before.next = p
	} else {
		w.first = p
	}
	if p.next != nil {
		p.next.prev = p
	} else {
		w.last = p
	}
}

// drop takes a question out of the queue it stands in.
func (p *question) drop() {
	w := p.in
	if w == nil {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		w.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		w.last = p.prev
	}
	p.place = place{}
}

// pop takes the first question out, if it is due.
func (w *queue) pop(now int64) *question {
	p := w.first
	if p == nil || p.due > now {
		return nil
	}
	p.drop()
	return p
}
