package zone

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"anyu/dns/wire"
)

// Scan reads a master file record by record without making a zone of it: lists without an SOA, root hints, files that are
// to be looked at line by line. Records outside opts.Name are handed over too; types and classes are checked as Load does.
//
// What is wrong with a record goes to bad; where that returns true, Scan goes on with the next record. A wrong directive
// ends it whatever bad says, as the lines after it would be misread. Scan returns the error it ended with.
func Scan(ctx context.Context, opts LoadOptions, record func(Record), bad func(error) (goOn bool)) error {
	if err := wire.ValidName(opts.Name); err != nil {
		return fmt.Errorf("scanning a zone: its name: %w", err)
	}
	l := &loader{apex: bytes.Clone(opts.Name), opts: opts, ctx: ctx}
	l.class.Store(uint32(opts.Class))
	c := newCollector(l.apex)
	c.emit = func(r Record) error {
		record(r)
		return nil
	}
	p := &parser{lexer: lexer{file: opts.File}, state: state{origin: l.apex, complete: true}, load: l, out: c}
	p.class, p.classKnown = l.classNow()
	p.bad = bad
	err := l.parseFile(p)
	if err != nil && !errors.Is(err, errReported) {
		bad(err)
	}
	return err
}

// errReported ends a scan whose caller has seen the error.
var errReported = errors.New("scan ended")

// recordsLeniently is records with errors going to p.bad.
func (p *parser) recordsLeniently() error {
	for {
		p.inDirective = false
		more, err := p.record()
		if err != nil {
			if p.inDirective {
				return err
			}
			if !p.bad(err) {
				return errReported
			}
			p.skipRecord()
			continue
		}
		if !more {
			return nil
		}
	}
}

// skipRecord goes past the record an error was found in.
func (l *lexer) skipRecord() {
	for l.tok.kind != tokenEnd {
		if l.next() != nil && l.tok.kind != tokenEnd {
			n := bytes.IndexByte(l.buf[l.pos:], '\n')
			if n < 0 {
				l.pos = len(l.buf)
			} else {
				l.pos += n
			}
			l.depth = 0
		}
	}
}
