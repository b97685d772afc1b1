package zone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"anyu/dns/wire"
)

// readAll reads the file in blocks and has them parsed.
func (l *loader) readAll() error {
	f, err := l.opts.Open(l.opts.File)
	if err != nil {
		return err
	}
	defer f.Close()
	n := l.workers()
	l.spare = make(chan []byte, n+2)
	for range n + 2 {
		l.spare <- nil
	}
	jobs := make(chan job, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c := newCollector(l.apex)
			for j := range jobs {
				l.commit(l.parse(j, c))
			}
		})
	}
	err = l.feed(newBlocks(f, l.blockSize()), jobs)
	close(jobs)
	wg.Wait()
	if l.err != nil {
		return l.err
	}
	return err
}

// feed cuts the file into jobs.
func (l *loader) feed(b *blocks, jobs chan<- job) error {
	var hint state // what directives at line starts say, seen in passing
	for seq := 0; ; seq++ {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		buf := <-l.spare
		buf = b.buffer(buf, seq)
		text, line, err := b.next(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if errors.Is(err, errLongRecord) {
				return &SyntaxError{File: l.opts.File, Line: line, Column: 1, Text: err.Error()}
			}
			return fmt.Errorf("reading %s: %w", l.opts.File, err)
		}
		guess, stop := l.guess(seq, hint)
		if stop {
			return nil
		}
		jobs <- job{seq: seq, text: text, line: line, guess: guess}
		hint.follow(text, guess.origin)
	}
}

// guess is the best that can be said now of the state at the beginning of block seq.
func (l *loader) guess(seq int, hint state) (g state, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g = l.confirmed
	if g.complete = l.next == seq; !g.complete {
		if hint.origin != nil {
			g.origin = hint.origin
		}
		if hint.hasTTL {
			g.ttl, g.hasTTL = hint.ttl, true
		}
	}
	return g, l.err != nil
}

// follow notes the $ORIGIN and $TTL lines of a block. It is a guess: what stands in parentheses is not told apart.
func (s *state) follow(text []byte, origin wire.Name) {
	if s.origin == nil {
		s.origin = origin
	}
	for len(text) > 0 {
		if text[0] != '$' {
			i := bytes.Index(text, []byte("\n$"))
			if i < 0 {
				return
			}
			text = text[i+1:]
		}
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line = text[:i]
		}
		text = text[len(line):]
		lx := lexer{buf: line}
		if lx.next() != nil || lx.tok.kind != tokenWord {
			continue
		}
		word := lx.tok.text
		if lx.next() != nil {
			continue
		}
		switch {
		case upperEqual(word, "$ORIGIN"):
			if name, _, err := lx.appendName(nil, s.origin); err == nil {
				s.origin = name
			}
		case upperEqual(word, "$TTL"):
			if v, ok := parseTTL(lx.tok.text); ok {
				s.ttl, s.hasTTL = clampTTL(v), true
			}
		}
	}
}

// parse reads one block.
func (l *loader) parse(j job, c *collector) *parsed {
	p := &parser{
		lexer: lexer{file: l.opts.File, buf: j.text, line: j.line},
		state: j.guess, load: l, out: c,
	}
	p.class, p.classKnown = l.classNow()
	err := p.records()
	c.flush()
	r := &parsed{block: j, end: p.state, used: p.used, set: p.set, runs: c.runs, warn: c.warnings, dropped: c.dropped, err: err}
	if p.set.owner {
		r.end.owner = bytes.Clone(p.name)
	}
	c.runs, c.warnings, c.dropped = nil, nil, 0
	return r
}

// commit takes blocks in their order; a block that comes early waits.
func (l *loader) commit(r *parsed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[r.block.seq] = r
	for {
		r := l.waiting[l.next]
		if r == nil {
			return
		}
		delete(l.waiting, l.next)
		l.next++
		if l.err == nil {
			l.take(r)
		}
		l.spare <- r.block.text[:0]
	}
}

// take adds a block whose turn it is, after checking the guess it was parsed with.
func (l *loader) take(r *parsed) {
	if !l.confirmed.satisfies(r) {
		r.block.guess = l.confirmed
		r = l.parse(r.block, newCollector(l.apex))
	}
	l.warnings = append(l.warnings, r.warn...)
	l.dropped += r.dropped
	if r.err != nil {
		l.err = r.err
		return
	}
	l.runs = append(l.runs, r.runs...)
	s := &l.confirmed
	if r.set.origin {
		s.origin = r.end.origin
	}
	if r.set.ttl {
		s.ttl, s.hasTTL = r.end.ttl, true
	}
	if r.set.last {
		s.last, s.hasLast = r.end.last, true
	}
	if r.set.owner {
		s.owner = r.end.owner
	}
}

// satisfies tells whether what a block used of its guess is so.
func (s *state) satisfies(r *parsed) bool {
	g := &r.block.guess
	if _, ok := r.err.(errNeedState); ok {
		return false
	}
	switch {
	case r.used.origin && !bytes.Equal(s.origin, g.origin),
		r.used.ttl && (s.hasTTL != g.hasTTL || s.ttl != g.ttl),
		r.used.last && (s.hasLast != g.hasLast || s.last != g.last),
		r.used.owner && !bytes.Equal(s.owner, g.owner):
		return false
	}
	return true
}
