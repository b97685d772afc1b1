package zone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"anyu/dns/wire"
)

// LoadOptions says what to load.
type LoadOptions struct {
	Name  wire.Name  // the zone; also the origin at the start of the file
	Class wire.Class // 0: what the file says, IN where it says nothing
	File  string
	// Open opens File and what it includes; a relative name in $INCLUDE is taken from the folder of the file it stands in.
	Open func(name string) (io.ReadCloser, error)
	// Workers is how many blocks are parsed at a time; 0 is the number of CPUs.
	Workers int
	// BlockSize is how much of a file is parsed at a time; 0 is 1 MiB. Tests set it low to meet every boundary.
	BlockSize int
	// RefuseOutside makes a record outside the zone an error instead of a warning.
	RefuseOutside bool
}

// loader is one load.
type loader struct {
	apex        wire.Name
	opts        LoadOptions
	ctx         context.Context
	strictNames bool

	class     atomic.Uint32 // 0 until a record names it
	includes  atomic.Int64
	generated atomic.Int64

	mu        sync.Mutex
	confirmed state // what the blocks committed so far leave
	next      int   // the block to commit next
	waiting   map[int]*parsed
	runs      []run
	warnings  []Warning
	dropped   int
	err       error
	spare     chan []byte // buffers for blocks
}

// parsed is what came of a block.
type parsed struct {
	block   job
	end     state
	used    used
	set     used
	runs    []run
	warn    []Warning
	dropped int
	err     error
}

// job is a block to parse.
type job struct {
	seq   int
	text  []byte
	line  int
	guess state
}

// Load reads a master file into a zone. The error is a *SyntaxError where the file is wrong. Blocks of the file are parsed
// side by side, each with a guess of what the lines before it leave ($ORIGIN, TTL, owner); the few whose guess proves
// wrong and mattered are parsed again.
func Load(ctx context.Context, opts LoadOptions) (*Zone, []Warning, error) {
	if err := wire.ValidName(opts.Name); err != nil {
		return nil, nil, fmt.Errorf("loading a zone: its name: %w", err)
	}
	l := &loader{apex: bytes.Clone(opts.Name), opts: opts, ctx: ctx, strictNames: opts.RefuseOutside, waiting: map[int]*parsed{}}
	l.class.Store(uint32(opts.Class))
	l.confirmed = state{origin: l.apex, complete: true}
	if err := l.readAll(); err != nil {
		return nil, l.allWarnings(), fmt.Errorf("loading zone %v: %w", l.apex, err)
	}
	z, err := l.build()
	if err != nil {
		return nil, l.allWarnings(), fmt.Errorf("loading zone %v from %s: %w", l.apex, opts.File, err)
	}
	return z, l.allWarnings(), nil
}

func (l *loader) workers() int {
	if l.opts.Workers > 0 {
		return l.opts.Workers
	}
	return runtime.GOMAXPROCS(0)
}

func (l *loader) blockSize() int {
	if l.opts.BlockSize > 0 {
		return l.opts.BlockSize
	}
	return blockSize
}

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

// parseFile reads an included file from beginning to end into its parser's collector.
func (l *loader) parseFile(p *parser) error {
	f, err := l.opts.Open(p.lexer.file)
	if err != nil {
		return err
	}
	defer f.Close()
	b := newBlocks(f, l.blockSize())
	var buf []byte
	for n := 0; ; n++ {
		buf = b.buffer(buf, n)
		if err := l.ctx.Err(); err != nil {
			return err
		}
		text, line, err := b.next(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		p.prevTok = nil
		p.lexer = lexer{file: p.lexer.file, buf: text, line: line}
		if err := p.records(); err != nil {
			return err
		}
		p.out.spill()
	}
}

// resolve is the name of an included file.
func (l *loader) resolve(from, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(from), name)
}

func (l *loader) countInclude() bool { return l.includes.Add(1) <= maxIncludes }

func (l *loader) countGenerated(n int64) bool { return l.generated.Add(n) <= maxGenerate }

// settleClass makes c the class of the zone if none is known, and tells whether c is it.
func (l *loader) settleClass(c wire.Class) bool {
	return l.class.CompareAndSwap(0, uint32(c)) || wire.Class(l.class.Load()) == c
}

func (l *loader) classNow() (c wire.Class, known bool) {
	if c := wire.Class(l.class.Load()); c != 0 {
		return c, true
	}
	return wire.ClassIN, false
}

// build joins the runs to trees.
func (l *loader) build() (*Zone, error) {
	var trees [2]tree
	for which := range trees {
		parts := make([][]*page, 0, len(l.runs))
		for i := range l.runs {
			parts = append(parts, l.runs[i].leaves[which])
			l.runs[i].leaves[which] = nil
		}
		trees[which] = treeOf(mergeRuns(parts, l.workers(), func(key []byte, t wire.Type, ttl uint32) {
			l.warnTTL(key, which == 1, t, ttl)
		}))
	}
	class, _ := l.classNow()
	z, err := version(l.apex, class, trees[0], trees[1])
	if err != nil {
		return nil, err
	}
	return z, z.Sound()
}

// warnTTL notes a TTL that differs between runs.
func (l *loader) warnTTL(key []byte, hash bool, t wire.Type, ttl uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.warnings) >= maxWarnings {
		l.dropped++
		return
	}
	l.warnings = append(l.warnings, ttlWarning(key, hash, l.apex, t, ttl))
}

// allWarnings are the first maxWarnings, and a last one that counts the others.
func (l *loader) allWarnings() []Warning {
	if n := len(l.warnings); n > maxWarnings {
		l.dropped += n - maxWarnings
		l.warnings = l.warnings[:maxWarnings]
	}
	if l.dropped > 0 {
		l.warnings = append(l.warnings, Warning{WarnMore, SyntaxError{File: l.opts.File, Text: fmt.Sprintf("%d more warnings", l.dropped)}})
		l.dropped = 0
	}
	return l.warnings
}
