package zone

import (
	"math"

	"anyu/dns/wire"
)

// state is what earlier lines of a master file leave to later ones.
type state struct {
	origin   wire.Name
	ttl      uint32 // of $TTL, valid with hasTTL
	hasTTL   bool
	last     uint32 // of the record before, valid with hasLast
	hasLast  bool
	owner    wire.Name // of the record before; nil before the first
	complete bool      // false: owner and last are a guess; a record that needs them must wait
}

// used notes which parts of the state at the beginning were needed, so that a block parsed with a guess need not be parsed
// again where the guess was wrong without effect.
type used struct{ origin, ttl, last, owner bool }

// parser reads the records of one text: a file, a block of one, or a line that $GENERATE made.
type parser struct {
	lexer
	state
	used       used
	set        used // which parts the text has set itself
	class      wire.Class
	classKnown bool // the file or the caller named it
	load       *loader
	out        *collector

	// The owner of the record being read.
	name    []byte
	offside bool   // it is outside the zone
	keyAt   uint32 // its key in the collector, and as a hash; 0 is none, valid in one epoch of the collector
	hashAt  uint32
	epoch   int
	prevTok []byte // its text, to know it again

	fileDepth int
	generated int // records of a $GENERATE line: its own place is reported

	// Scan only.
	bad         func(error) bool
	inDirective bool

	// Scratch.
	text  []byte
	types []wire.Type
}

// errNeedState stops a block that needs what stands before it and is not known yet.
type errNeedState struct{}

func (errNeedState) Error() string { return "the record depends on the block before" }

// records reads to the end of the text.
func (p *parser) records() error {
	if p.bad != nil {
		return p.recordsLeniently()
	}
	for {
		more, err := p.record()
		if err != nil || !more {
			return err
		}
	}
}

// record reads one record or directive; more is false at the end of the text.
func (p *parser) record() (more bool, err error) {
	buf := p.buf
	for p.pos < len(buf) {
		switch c := buf[p.pos]; charOf[c] {
		case charLine:
			p.pos++
			p.line++
			p.bol = p.pos
		case charBlank, charComment, charOpen, charClose:
			if err := p.next(); err != nil {
				return false, err
			}
			if p.tok.kind == tokenEnd {
				continue // an empty line
			}
			if c != '(' || p.pos == 0 {
				return true, p.inherit()
			}
			return true, p.owned()
		default:
			if err := p.next(); err != nil {
				return false, err
			}
			return true, p.owned()
		}
	}
	return false, nil
}

// inherit reads a record that begins with a blank: it has the owner of the record before (RFC 1035, Section 5.1).
func (p *parser) inherit() error {
	if !p.set.owner {
		if !p.complete {
			return errNeedState{}
		}
		p.used.owner = true
		if p.owner == nil {
			return p.errorf("the record has no owner name and there is none before it to inherit")
		}
		p.name = append(p.name[:0], p.owner...)
		p.newOwner()
	}
	return p.body()
}

// owned reads a record that begins with its owner, or a directive.
func (p *parser) owned() error {
	tok := &p.tok
	if tok.kind == tokenWord && tok.text[0] == '$' {
		return p.directive()
	}
	// Records of one name mostly stand together.
	if !p.set.owner || string(tok.text) != string(p.prevTok) || tok.kind != tokenWord {
		name, relative, err := p.appendName(p.name[:0], p.origin)
		p.name = name
		if err != nil {
			p.set.owner, p.prevTok = false, nil
			return err
		}
		p.used.origin = p.used.origin || relative && !p.set.origin
		p.prevTok = tok.text
		p.newOwner()
	}
	if err := p.next(); err != nil {
		return err
	}
	return p.body()
}

// newOwner notes that p.name is another name.
func (p *parser) newOwner() {
	p.set.owner = true
	p.keyAt, p.hashAt = 0, 0
	p.offside = !wire.Name(p.name).IsSubdomainOf(p.load.apex)
}

// body reads a record from the token after its owner: TTL and class in either order, type, RDATA.
func (p *parser) body() error {
	var ttl uint32
	hasTTL, hasClass := false, false
	for {
		tok := &p.tok
		if tok.kind != tokenWord {
			return p.errorf("the record ends, or has a quoted text, where its TTL, class or type is expected")
		}
		if c := tok.text[0]; c >= '0' && c <= '9' && !hasTTL {
			var ok bool
			if ttl, ok = parseTTL(tok.text); !ok {
				return p.errorf("%q is not a TTL", tok.text)
			}
			hasTTL = true
		} else if t, ok := p.typeOrClass(tok.text, &hasClass); ok {
			if err := p.next(); err != nil {
				return err
			}
			return p.data(t, ttl, hasTTL)
		} else if !hasClass || t == 0 {
			return p.errorf("%q is not a TTL, class or type", tok.text)
		} else {
			// A class. It may stand once.
			if err := p.checkClass(wire.Class(t)); err != nil {
				return err
			}
		}
		if err := p.next(); err != nil {
			return err
		}
	}
}

// typeOrClass tells what a word is: a type (ok), or a class (its number with ok false, once).
func (p *parser) typeOrClass(text []byte, hasClass *bool) (wire.Type, bool) {
	if !*hasClass && len(text) >= 2 {
		if c, ok := parseClass(text); ok {
			*hasClass = true
			return wire.Type(c), false
		}
	}
	if t, ok := parseType(text); ok {
		return t, true
	}
	return 0, false
}

// RFC 1035, Section 5.2: all records of a zone have one class.
func (p *parser) checkClass(c wire.Class) error {
	if c == p.class && p.classKnown {
		return nil
	}
	if c == 0 || c >= wire.ClassNONE && c <= wire.ClassANY {
		return p.errorf("class %v cannot stand in a zone", c)
	}
	if p.load.settleClass(c) {
		p.class, p.classKnown = c, true
		return nil
	}
	return p.errorf("class %v in a zone of class %v", c, p.class)
}

// data reads the RDATA and hands the record over.
func (p *parser) data(t wire.Type, ttl uint32, hasTTL bool) error {
	// RFC 6895, Section 3.1: question and meta types are no data.
	if t.IsMeta() && t != wire.TypeNXNAME {
		return p.errorf("type %v cannot stand in a zone", t)
	}
	rec := p.out.begin()
	body, err := p.rdata(rec, t)
	p.out.arena = body
	if err != nil {
		p.out.abandon()
		return err
	}
	rdata := p.out.rdata()
	if ttl, err = p.ttlOf(t, ttl, hasTTL, rdata); err != nil {
		p.out.abandon()
		return err
	}
	if p.out.emit != nil {
		err = p.out.emit(Record{Owner: p.name, Type: t, TTL: ttl, RData: rdata})
		p.out.abandon()
		return err
	}
	if p.offside {
		p.out.abandon()
		return p.outside(t)
	}
	if t == wire.TypeSOA && len(p.name) != len(p.load.apex) {
		p.out.abandon()
		return p.errorf("the SOA record belongs to %v and not to the top of the zone", wire.Name(p.name))
	}
	covered := coveredBy(t, rdata)
	placed := t
	if t == wire.TypeRRSIG {
		placed = covered
	}
	p.out.end(t, covered, ttl)
	if placed == wire.TypeNSEC3 {
		p.file(&p.hashAt, placed)
	} else {
		p.file(&p.keyAt, placed)
	}
	return nil
}

// file notes where the finished record belongs; *at remembers the key for the next record of this owner.
func (p *parser) file(at *uint32, placed wire.Type) {
	if p.epoch != p.out.epoch {
		p.keyAt, p.hashAt, p.epoch = 0, 0, p.out.epoch
	}
	if *at == 0 {
		*at = p.out.addKey(p.name, p.load.apex, placed)
	}
	p.out.file(*at)
}

// ttlOf is the TTL of a record: its own, that of $TTL (RFC 2308, Section 4), that of the record before (RFC 1035, Section
// 5.1). An SOA that has none of them takes its MINIMUM, and so do the records after it.
func (p *parser) ttlOf(t wire.Type, ttl uint32, has bool, rdata []byte) (uint32, error) {
	switch {
	case has:
	case p.hasTTL:
		p.used.ttl = p.used.ttl || !p.set.ttl
		return p.ttl, nil
	case !p.hasLast && !p.complete:
		return 0, errNeedState{}
	default:
		p.used.ttl = p.used.ttl || !p.set.ttl
		p.used.last = p.used.last || !p.set.last
		switch {
		case p.hasLast:
			return p.last, nil
		case t == wire.TypeSOA && len(rdata) >= 4:
			m := rdata[len(rdata)-4:]
			ttl = clampTTL(uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3]))
			// RFC 1035, Section 3.3.13: MINIMUM is the default of the zone, unless $TTL says otherwise (RFC 2308, Section 4).
			p.ttl, p.hasTTL, p.set.ttl = ttl, true, true
		default:
			p.warn(WarnNoTTL, "no TTL here, no $TTL and no record before: 3600 is taken (RFC 1035, Section 5.1 gives no rule)")
			ttl = 3600
		}
	}
	if ttl > maxTTL {
		ttl = 0 // RFC 2181, Section 8
	}
	p.last, p.hasLast, p.set.last = ttl, true, true
	return ttl, nil
}

// outside leaves a record out whose owner is not in the zone (servers.md 5.1, case 67).
func (p *parser) outside(t wire.Type) error {
	if t == wire.TypeSOA {
		// servers.md 5.1, case 75: an SOA elsewhere means that this is another zone's file.
		return p.errorf("the SOA record belongs to %v, outside the zone %v", wire.Name(p.name), p.load.apex)
	}
	if p.load.strictNames {
		return p.errorf("%v is outside the zone %v", wire.Name(p.name), p.load.apex)
	}
	p.warn(WarnOutside, "%v %v is outside the zone %v and left out", wire.Name(p.name), t, p.load.apex)
	return nil
}

// warn notes something at the current token.
func (p *parser) warn(code, format string, args ...any) {
	if len(p.out.warnings) >= maxWarnings {
		p.out.dropped++ // a file of another zone has a million: they are not even worded
		return
	}
	p.out.note(Warning{code, *p.errorf(format, args...).(*SyntaxError)})
}

// clampTTL is a TTL as a number of a directive.
func clampTTL(v uint32) uint32 {
	if v > math.MaxInt32 {
		return 0
	}
	return v
}
