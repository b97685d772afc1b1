package cdns

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"anyu/dns/wire"
)

const (
	// blockItems and blockOctets end a block: what a reader must hold at a time, and what is lost when a file is cut.
	blockItems  = 10_000
	blockOctets = 16 << 20
)

// Parameters of the blocks that are written: ticks of microseconds where the times of a block allow it, which are shorter, else of nanoseconds; and
// whether the records of responses are kept, for an item of another file may lack them.
const (
	inMicroseconds = iota
	inNanoseconds
	partial // added to one of the others
)

// ticksOf is by parameters, a second.
var ticksOf = [...]int64{1e6, 1e9, 1e6, 1e9}

// Writer writes transactions as C-DNS 1.0. All that an Item has is kept but these, for which the format has no place: octets behind the last record of a
// response, a question of the response that differs from that of the query in case or class, name compression, and where in its
// section a query's OPT record stood.
type Writer struct {
	Malformed uint64 // messages that could not be read, kept as they were

	out   io.Writer
	mode  cbor.EncMode
	block *filling
	query parsed
	reply parsed
}

// NewWriter begins a file. host is who made it; it may be empty.
func NewWriter(out io.Writer, generator, host string) (*Writer, error) {
	mode, err := cbor.EncOptions{}.EncMode()
	if err != nil {
		return nil, fmt.Errorf("preparing CBOR: %w", err)
	}
	w := &Writer{out: out, mode: mode, block: newFilling()}
	var b bytes.Buffer
	b.WriteByte(0x83) // RFC 8618, Section 7.2: an array of three: type, preamble, blocks
	p := preamble{Major: 1}
	for which := range ticksOf {
		p.Parameters = append(p.Parameters, parameters(which, generator, host))
	}
	e := mode.NewEncoder(&b)
	if err := errors.Join(e.Encode("C-DNS"), e.Encode(p)); err != nil {
		return nil, fmt.Errorf("writing the preamble of C-DNS: %w", err)
	}
	b.WriteByte(0x9F) // how many blocks there will be is not known
	_, err = out.Write(b.Bytes())
	return w, err
}

// Hints (RFC 8618, Section 7.3.1.1.1): all that the format has, but for response-processing-data.
const (
	allItems      = 1<<18 - 1 - 1<<10
	allSignatures = 1<<17 - 1
	allRecords    = 1<<2 - 1
	justMalformed = 1 << 0
	responseHints = 1<<15 | 1<<16 | 1<<17
)

func parameters(which int, generator, host string) parameter {
	var p parameter
	p.Storage.Ticks, p.Storage.MaxItems = uint64(ticksOf[which]), blockItems
	p.Storage.Hints = hints{allItems, allSignatures, allRecords, justMalformed}
	if which >= partial {
		p.Storage.Hints.Items &^= responseHints
	}
	for i := range uint16(16) { // RFC 8618, Section 7.3.1.1.1: what is collected; here all
		p.Storage.Opcodes = append(p.Storage.Opcodes, i)
	}
	p.Storage.Types = wire.KnownTypes() // all others are kept, too: a list of 65,536 would say so
	if generator != "" || host != "" {
		p.Collection = &collection{Generator: generator, Host: host}
	}
	return p
}

// Add takes a transaction; what cannot be read as a message is kept as it was.
func (w *Writer) Add(it *Item) error {
	if it.Reply != nil && it.Partial != w.block.partial {
		if err := w.flush(); err != nil {
			return err
		}
		w.block.partial = it.Partial
	}
	f := w.block
	asked := it.Query != nil && f.parse(it.Query, true, &w.query)
	answered := it.Reply != nil && f.parse(it.Reply, false, &w.reply)
	if it.Query != nil && !asked {
		w.broken(it, it.Query, it.Timed, it.Time)
	}
	if it.Reply != nil && !answered {
		w.broken(it, it.Reply, it.Delayed, it.ReplyTime)
	}
	if asked || answered {
		w.item(it, asked, answered)
	}
	if len(f.Items)+len(f.Malformed) >= blockItems || f.octets >= blockOctets {
		return w.flush()
	}
	return nil
}

// item: RFC 8618, Section 7.3.2.4.
func (w *Writer) item(it *Item, asked, answered bool) {
	f, first := w.block, &w.query
	if !asked {
		first = &w.reply
	}
	s := w.signature(it, asked, answered)
	id := first.ID
	out := item{ID: &id}
	if first.QD == 0 && answered {
		first = &w.reply // only the response has a question
	}
	if first.QD > 0 {
		name := first.name
		out.Name, s.classType, s.has = &name, first.classType, s.has|1<<8
	}
	place := f.signature(s)
	out.Signature = &place
	if it.Client != nil {
		port := it.ClientPort
		out.Client, out.Port = f.address(it.Client), &port
	}
	at := moment{timed: it.Timed, time: it.Time}
	if asked {
		out.QuerySize, out.Query = size(it.QuerySize, it.Query), w.sections(&w.query)
		if it.Hop != 0 {
			hop := it.Hop
			out.Hops = &hop
		}
	}
	if answered {
		out.ReplySize = size(it.ReplySize, it.Reply)
		if !it.Partial {
			out.Reply = w.sections(&w.reply)
		}
		switch {
		case !asked:
			at = moment{timed: it.Delayed, time: it.ReplyTime}
		case it.Timed && it.Delayed:
			at.delayed, at.delay = true, it.ReplyTime-it.Time
		case it.Delayed: // the response's time is all that is known; an item without a query's time has none
		}
	}
	f.Items = append(f.Items, out)
	f.times = append(f.times, at)
	f.octets += 256
}

func size(told int, msg []byte) *uint32 {
	n := uint32(len(msg))
	if told > 0 {
		n = uint32(told)
	}
	return &n
}

// sections are those of a message; nil where it has none.
func (w *Writer) sections(p *parsed) *extended {
	f := w.block
	e := extended{f.list(f.lists, &f.Tables.Lists, p.questions), nil, nil, nil}
	for i, to := range [...]**uint{&e.Answers, &e.Authority, &e.Additional} {
		*to = f.list(f.rrLists, &f.Tables.RRLists, p.sections[i])
	}
	if e == (extended{}) {
		return nil
	}
	return &e
}

// signature: RFC 8618, Section 7.3.2.3.2.
func (w *Writer) signature(it *Item, asked, answered bool) flat {
	s := flat{has: 1<<2 | 1<<4 | 1<<5 | 1<<6, transport: transportFlags(it)}
	if it.Server != nil {
		s.has |= 1<<0 | 1<<1
		s.server, s.port = *w.block.address(it.Server), it.ServerPort
	}
	if it.Kind >= 0 && it.Kind < KindUnknown {
		s.has |= 1 << 3
		s.kind = uint8(it.Kind)
	}
	if asked {
		w.signQuery(&s)
	}
	if answered {
		r := &w.reply
		s.flags |= hasReply
		s.has |= 1 << 16
		s.answer = r.Flags&15 | r.upper
		s.dnsFlags |= bitsOf(r.Flags) << replyBits
		if r.edns {
			s.flags |= replyHasOPT
		}
		if r.QD == 0 {
			s.flags |= replyHasNoQuestion
		}
		if !asked {
			s.opcode = uint8(r.Opcode())
		}
	}
	return s
}

func (w *Writer) signQuery(s *flat) {
	q := &w.query
	s.flags |= hasQuery
	s.has |= 1<<7 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	s.opcode, s.rcode = uint8(q.Opcode()), q.Flags&15|q.upper
	s.dnsFlags |= bitsOf(q.Flags)
	s.qd, s.an, s.ns, s.ar = q.QD, q.AN, q.NS, q.AR
	if q.QD == 0 {
		s.flags |= queryHasNoQuestion
	}
	if q.trailing {
		s.transport |= trailingOctets
	}
	if q.edns {
		s.flags |= queryHasOPT
		s.has |= 1<<13 | 1<<14 | 1<<15
		s.version, s.payload, s.options = q.version, q.payload, q.options
		if q.do {
			s.dnsFlags |= queryDO
		}
	}
}

// Bits of qr-transport-flags.
const (
	overIPv6       = 1 << 0
	trailingOctets = 1 << 5
)

func transportFlags(it *Item) uint8 {
	f := uint8(it.Transport) << 1
	if len(it.Client) == 16 || len(it.Server) == 16 {
		f |= overIPv6
	}
	return f
}

// bitsOf are the flags of a header as C-DNS has them.
func bitsOf(h uint16) (bits uint32) {
	for i, bit := range headerBits {
		if h&bit != 0 {
			bits |= 1 << i
		}
	}
	return bits
}

// broken keeps a message that cannot be read (RFC 8618, Section 7.3.2.6).
func (w *Writer) broken(it *Item, msg []byte, timed bool, at int64) {
	w.Malformed++
	f := w.block
	transport := transportFlags(it)
	d := broken{Transport: &transport, Payload: bytes.Clone(msg)}
	m := malformed{}
	if it.Server != nil {
		port := it.ServerPort
		d.Server, d.Port = f.address(it.Server), &port
	}
	if it.Client != nil {
		port := it.ClientPort
		m.Client, m.Port = f.address(it.Client), &port
	}
	place := uint(len(f.Tables.Broken))
	m.Data = &place
	f.Tables.Broken = append(f.Tables.Broken, d)
	f.Malformed = append(f.Malformed, m)
	f.broken = append(f.broken, moment{timed: timed, time: at})
	f.octets += len(msg) + 256
}

// flush writes the block, if there is something in it.
func (w *Writer) flush() error {
	f := w.block
	if len(f.Items)+len(f.Malformed) == 0 {
		return nil
	}
	f.count()
	f.setTimes()
	b, err := w.mode.Marshal(&f.block)
	if err != nil {
		return fmt.Errorf("encoding a block of C-DNS: %w", err)
	}
	w.block = newFilling()
	w.block.partial = f.partial
	_, err = w.out.Write(b)
	return err
}

// count fills the statistics (RFC 8618, Section 7.3.2.2).
func (f *filling) count() {
	c := &f.Statistics
	c.Items, c.Malformed = uint64(len(f.Items)), uint64(len(f.Malformed))
	c.Messages = c.Malformed
	for i := range f.Items {
		switch flags := value(f.Tables.Signatures[*f.Items[i].Signature].Flags); flags & (hasQuery | hasReply) {
		case hasQuery:
			c.UnmatchedQueries++
			c.Messages++
		case hasReply:
			c.UnmatchedResponses++
			c.Messages++
		default:
			c.Messages += 2
		}
	}
}

// setTimes writes the times as ticks behind the earliest one.
func (f *filling) setTimes() {
	if f.partial {
		f.Preamble.Parameter = partial
	}
	earliest, found, fine := int64(0), false, false
	for _, list := range [...][]moment{f.times, f.broken} {
		for _, m := range list {
			if !m.timed {
				continue
			}
			if !found || m.time < earliest {
				earliest, found = m.time, true
			}
			fine = fine || m.time%1000 != 0 || m.delay%1000 != 0
		}
	}
	if !found {
		return
	}
	if fine {
		f.Preamble.Parameter += inNanoseconds
	}
	ticks := ticksOf[f.Preamble.Parameter]
	unit := int64(1e9) / ticks
	earliest = max(earliest, 0) // seconds have no sign there
	f.Preamble.Earliest = []uint64{uint64(earliest / 1e9), uint64(earliest % 1e9 / unit)}
	for i, m := range f.times {
		if !m.timed || m.time < earliest {
			continue
		}
		offset := uint64((m.time - earliest) / unit)
		f.Items[i].Offset = &offset
		if m.delayed {
			delay := m.delay / unit
			f.Items[i].Delay = &delay
		}
	}
	for i, m := range f.broken {
		if m.timed && m.time >= earliest {
			offset := uint64((m.time - earliest) / unit)
			f.Malformed[i].Offset = &offset
		}
	}
}

// Close ends the file. It does not close what is written to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	_, err := w.out.Write([]byte{0xFF})
	return err
}
