package cdns

import (
	"encoding/binary"
	"errors"
	"fmt"

	"anyu/dns/wire"
)

// Transport is that of a message (RFC 8618, Section 7.3.2.3.2).
type Transport uint8

// Transports.
const (
	UDP Transport = iota
	TCP
	TLS
	DTLS
	HTTPS
	Other = 15
)

// Kinds of transactions: who asked whom. KindUnknown where the file does not tell.
const (
	KindStub = iota
	KindClient
	KindResolver
	KindAuthoritative
	KindForwarder
	KindTool
	KindUnknown
)

// Item is one transaction: a query, a response or both, as messages. Its slices are valid until the next item.
type Item struct {
	Query, Reply         []byte // nil: not seen
	QuerySize, ReplySize int    // on the wire; 0: not told
	Partial              bool   // the records of the response are not stored

	Timed, Delayed  bool
	Time, ReplyTime int64 // ns since 1970

	Client, Server         []byte // 4 or 16 octets; nil: not stored
	ClientPort, ServerPort uint16
	Transport              Transport
	Kind                   int
	Hop                    uint8
}

// Flags of a signature.
const (
	hasQuery           = 1 << 0
	hasReply           = 1 << 1
	queryHasOPT        = 1 << 2
	replyHasOPT        = 1 << 3
	queryHasNoQuestion = 1 << 4
	replyHasNoQuestion = 1 << 5
)

// errIndex is an index without an entry.
var errIndex = errors.New("an index points outside its table")

func entry[T any](list []T, i *uint) (T, error) {
	var none T
	if i == nil || *i >= uint(len(list)) {
		return none, errIndex
	}
	return list[*i], nil
}

// builder makes messages of what a block stores.
type builder struct {
	*block
	ticks     uint64
	earlier   int64
	p4, p6    uint8
	responses bool // their records are stored
	query     []byte
	reply     []byte
}

// Each hands every item to see. complain hears what cannot be read, which is passed over. It ends with nil, or what ended it.
func (r *Reader) Each(see func(*Item), complain func(error)) error {
	var b builder
	for {
		b.block = new(block)
		err := r.block(b.block)
		var breach *Error
		switch {
		case errors.As(err, &breach):
			complain(err)
			continue
		case err != nil:
			return err
		}
		if err := b.begin(r.params); err != nil {
			complain(r.wrong(err))
			continue
		}
		var out Item
		for i := range b.Items {
			if err := b.item(&b.Items[i], &out); err != nil {
				complain(r.wrong(fmt.Errorf("item %d: %w", i+1, err)))
				continue
			}
			see(&out)
		}
		for i := range b.Malformed {
			if err := b.broken(&b.Malformed[i], &out); err != nil {
				complain(r.wrong(fmt.Errorf("malformed message %d: %w", i+1, err)))
				continue
			}
			see(&out)
		}
	}
}

// Blocks is the number of blocks read.
func (r *Reader) Blocks() uint64 { return r.blocks }

func (b *builder) begin(params []parameter) error {
	p, err := entry(params, &b.Preamble.Parameter)
	if err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	b.ticks, b.p4, b.p6 = p.Storage.Ticks, 32, 128
	b.responses = p.Storage.Hints.Items&responseHints == responseHints
	if b.ticks == 0 || b.ticks > 1e9 {
		return fmt.Errorf("%d ticks a second", b.ticks)
	}
	if e := b.Preamble.Earliest; len(e) >= 2 {
		b.earlier = int64(e[0])*1e9 + b.ns(e[1])
	}
	if p.Storage.Prefix4 != nil {
		b.p4 = *p.Storage.Prefix4
	}
	if p.Storage.Prefix6 != nil {
		b.p6 = *p.Storage.Prefix6
	}
	return nil
}

// ns are ticks as nanoseconds.
func (b *builder) ns(ticks uint64) int64 {
	return int64(ticks/b.ticks)*1e9 + int64(ticks%b.ticks*1e9/b.ticks)
}

// address is one of the table in full length: zeros may be left out behind a prefix (Section 7.3.2.3).
func (b *builder) address(i *uint, six bool) ([]byte, error) {
	if i == nil {
		return nil, nil
	}
	a, err := entry(b.Tables.Addresses, i)
	if err != nil {
		return nil, err
	}
	want := 4
	if six {
		want = 16
	}
	if len(a) > want {
		return nil, fmt.Errorf("an address of %d octets", len(a))
	}
	return append(make([]byte, 0, want), a...)[:want], nil
}

func (b *builder) item(it *item, out *Item) error {
	*out = Item{Kind: KindUnknown}
	s, err := entry(b.Tables.Signatures, it.Signature)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	transport, flags := value(s.Transport), value(s.Flags)
	six := transport&1 != 0
	out.Transport, out.Hop = Transport(transport>>1&15), value(it.Hops)
	if s.Kind != nil && *s.Kind < KindUnknown {
		out.Kind = int(*s.Kind)
	}
	if out.Client, err = b.address(it.Client, six); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if out.Server, err = b.address(s.Server, six); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	out.ClientPort, out.ServerPort = value(it.Port), value(s.Port)
	out.QuerySize, out.ReplySize = int(value(it.QuerySize)), int(value(it.ReplySize))
	if it.Offset != nil {
		out.Time, out.Timed = b.earlier+b.ns(*it.Offset), true
		if it.Delay != nil {
			d := *it.Delay
			out.Delayed = true
			if d < 0 {
				out.ReplyTime = out.Time - b.ns(uint64(-d))
			} else {
				out.ReplyTime = out.Time + b.ns(uint64(d))
			}
		}
	}
	if flags&hasQuery != 0 {
		if out.Query, err = b.asked(it, &s); err != nil {
			return fmt.Errorf("query: %w", err)
		}
	}
	if flags&hasReply != 0 {
		if out.Reply, err = b.answered(it, &s); err != nil {
			return fmt.Errorf("response: %w", err)
		}
		out.Partial = it.Reply == nil && !b.responses
		if flags&hasQuery == 0 && out.Timed { // the time is that of the response
			out.ReplyTime, out.Delayed = out.Time, true
		}
	}
	if flags&(hasQuery|hasReply) == 0 {
		return errors.New("neither a query nor a response")
	}
	return nil
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// Bits of qr-dns-flags, and where they stand in a header (RFC 1035, Section 4.1.1; RFC 4035, Section 3).
var headerBits = [...]uint16{0x0010, 0x0020, 0x0040, 0x0080, 0x0100, 0x0200, 0x0400}

const queryDO, replyBits = 1 << 7, 8

func headerFlags(bits uint32) (h uint16) {
	for i, bit := range headerBits {
		if bits>>i&1 != 0 {
			h |= bit
		}
	}
	return h
}

// asked writes the query.
func (b *builder) asked(it *item, s *signature) ([]byte, error) {
	bits := value(s.DNSFlags)
	m := header(b.query, it, s, headerFlags(bits), value(s.Rcode))
	m, err := b.question(m, it, s, it.Query, value(s.Flags)&queryHasNoQuestion == 0)
	if err != nil {
		return nil, err
	}
	if m, err = b.sections(m, it.Query); err != nil {
		return nil, err
	}
	if value(s.Flags)&queryHasOPT != 0 {
		data, err := b.data(s.Options)
		if err != nil {
			return nil, err
		}
		ttl := uint32(value(s.Rcode)>>4)<<24 | uint32(value(s.Version))<<16
		if bits&queryDO != 0 {
			ttl |= 1 << 15
		}
		m = opt(m, value(s.Payload), ttl, data)
	}
	b.query = m
	return m, nil
}

// answered writes the response. Its OPT is among its additional records, where these are stored.
func (b *builder) answered(it *item, s *signature) ([]byte, error) {
	m := header(b.reply, it, s, 0x8000|headerFlags(value(s.DNSFlags)>>replyBits), value(s.Answer))
	m, err := b.question(m, it, s, it.Reply, value(s.Flags)&replyHasNoQuestion == 0)
	if err != nil {
		return nil, err
	}
	if m, err = b.sections(m, it.Reply); err != nil {
		return nil, err
	}
	if (it.Reply == nil || it.Reply.Additional == nil) && value(s.Flags)&replyHasOPT != 0 {
		m = opt(m, 0, uint32(value(s.Answer)>>4)<<24, nil)
	}
	b.reply = m
	return m, nil
}

func header(m []byte, it *item, s *signature, flags, rcode uint16) []byte {
	m = binary.BigEndian.AppendUint16(m[:0], value(it.ID))
	m = binary.BigEndian.AppendUint16(m, flags|uint16(value(s.Opcode)&15)<<11|rcode&15)
	return append(m, 0, 0, 0, 0, 0, 0, 0, 0)
}

// count adds to a count of the header.
func count(m []byte, at, n int) {
	binary.BigEndian.PutUint16(m[at:], binary.BigEndian.Uint16(m[at:])+uint16(n))
}

func (b *builder) question(m []byte, it *item, s *signature, more *extended, has bool) ([]byte, error) {
	if has && it.Name != nil && s.ClassType != nil {
		var err error
		if m, err = b.name(m, it.Name); err != nil {
			return nil, err
		}
		if m, err = b.classType(m, s.ClassType); err != nil {
			return nil, err
		}
		count(m, 4, 1)
	}
	if more == nil || more.Questions == nil {
		return m, nil
	}
	list, err := entry(b.Tables.Lists, more.Questions)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		q, err := entry(b.Tables.Questions, &i)
		if err != nil {
			return nil, err
		}
		if m, err = b.name(m, &q.Name); err != nil {
			return nil, err
		}
		if m, err = b.classType(m, &q.ClassType); err != nil {
			return nil, err
		}
		count(m, 4, 1)
	}
	return m, nil
}

func (b *builder) name(m []byte, i *uint) ([]byte, error) {
	n, err := entry(b.Tables.Names, i)
	if err != nil {
		return nil, err
	}
	if len(n) == 0 { // compactor writes the root so
		return append(m, 0), nil
	}
	if err := wire.ValidName(n); err != nil {
		return nil, err
	}
	return append(m, n...), nil
}

func (b *builder) classType(m []byte, i *uint) ([]byte, error) {
	ct, err := entry(b.Tables.ClassTypes, i)
	if err != nil {
		return nil, err
	}
	m = binary.BigEndian.AppendUint16(m, ct.Type)
	return binary.BigEndian.AppendUint16(m, ct.Class), nil
}

// data is RDATA; nil where there is none.
func (b *builder) data(i *uint) ([]byte, error) {
	if i == nil {
		return nil, nil
	}
	return entry(b.Tables.Names, i)
}

func (b *builder) sections(m []byte, e *extended) ([]byte, error) {
	if e == nil {
		return m, nil
	}
	for k, list := range [...]*uint{e.Answers, e.Authority, e.Additional} {
		if list == nil {
			continue
		}
		all, err := entry(b.Tables.RRLists, list)
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if m, err = b.record(m, i); err != nil {
				return nil, err
			}
			count(m, 6+2*k, 1)
		}
	}
	return m, nil
}

// maxMessage stops lists that name one large record many times. A message of 65,535 octets has at most some 5,400 records, each with an owner of up to
// 255 octets when it is written without compression.
const maxMessage = 2 << 20

func (b *builder) record(m []byte, i uint) ([]byte, error) {
	x, err := entry(b.Tables.RRs, &i)
	if err != nil {
		return nil, err
	}
	data, err := b.data(x.Data)
	if err != nil {
		return nil, err
	}
	if len(m)+len(data) > maxMessage {
		return nil, fmt.Errorf("a message of more than %d octets", maxMessage)
	}
	if m, err = b.name(m, &x.Name); err != nil {
		return nil, err
	}
	if m, err = b.classType(m, &x.ClassType); err != nil {
		return nil, err
	}
	m = binary.BigEndian.AppendUint32(m, value(x.TTL))
	m = binary.BigEndian.AppendUint16(m, uint16(len(data)))
	return append(m, data...), nil
}

func opt(m []byte, payload uint16, ttl uint32, data []byte) []byte {
	m = append(m, 0, 0, byte(wire.TypeOPT))
	m = binary.BigEndian.AppendUint16(m, payload)
	m = binary.BigEndian.AppendUint32(m, ttl)
	m = binary.BigEndian.AppendUint16(m, uint16(min(len(data), 0xFFFF)))
	count(m, 10, 1)
	return append(m, data[:min(len(data), 0xFFFF)]...)
}

// broken is a message that could not be read where it was captured: it comes out as it was.
func (b *builder) broken(x *malformed, out *Item) error {
	*out = Item{Kind: KindUnknown}
	d, err := entry(b.Tables.Broken, x.Data)
	if err != nil {
		return err
	}
	six := value(d.Transport)&1 != 0
	out.Transport = Transport(value(d.Transport) >> 1 & 15)
	if out.Client, err = b.address(x.Client, six); err != nil {
		return err
	}
	if out.Server, err = b.address(d.Server, six); err != nil {
		return err
	}
	out.ClientPort, out.ServerPort = value(x.Port), value(d.Port)
	if x.Offset != nil {
		out.Time, out.Timed = b.earlier+b.ns(*x.Offset), true
	}
	if len(d.Payload) > 2 && d.Payload[2]&0x80 != 0 { // QR, as far as the header is to be believed
		out.Reply, out.ReplyTime, out.Delayed = d.Payload, out.Time, out.Timed
	} else {
		out.Query = d.Payload
	}
	return nil
}
