package zone

import (
	"bytes"
	"context"
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
