package cache

import (
	"encoding/binary"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Packet is a finished answer: what follows the question, records compressed against it, without OPT. Its slices point into the cache, are
// never changed, and may be kept as long as a query lives.
type Packet struct {
	Body       []byte
	Text       []byte // EXTRA-TEXT
	Flags      uint16 // of the reply, without what the client decides
	AN, NS, AR uint16 // AR without OPT
	Rcode      wire.Rcode
	Reason     uint16 // EDE INFO-CODE, or event.NoReason
	Security   dnssec.Security
	Stored     int64 // seconds
	Expires    int64
	PrefetchAt int64 // seconds; from then on who uses the packet should have it renewed; 0 means never

	ttls []byte // offsets of the TTLs in Body
}

const (
	packetHeader = 18 // flags, AN, NS, AR 8 | reason 2 | prefetch 4 | length of text 2 | number of TTLs 2
	maxText      = 1024
)

// Packet returns a fresh packet. It neither allocates nor locks, and touches a few cache lines: one or two of the index, and those of the
// entry.
func (c *Cache) Packet(key []byte, now int64) (p Packet, ok bool) {
	h := c.secret.hash(kindPacket, key)
	s := c.shard(h)
	slot, e := s.index.Load().find(h, kindPacket, key)
	if slot == nil || !e.fresh(seconds(now)) {
		return p, false
	}
	use(slot)
	p.decode(e)
	return p, true
}

func (p *Packet) decode(e entry) {
	le := binary.LittleEndian
	b := e.body()
	_ = b[packetHeader-1]
	p.Flags, p.AN, p.NS, p.AR = le.Uint16(b), le.Uint16(b[2:]), le.Uint16(b[4:]), le.Uint16(b[6:])
	p.Reason, p.Rcode, p.Security = le.Uint16(b[8:]), wire.Rcode(e.code()), security(e)
	p.Stored, p.Expires, p.PrefetchAt = int64(e.stored()), int64(e.expires()), int64(le.Uint32(b[10:]))
	text := packetHeader + int(le.Uint16(b[14:]))
	ttls := text + 2*int(le.Uint16(b[16:]))
	// The size of an entry is rounded up to 4: the last octet of the body says how many of them are no part of it.
	end := len(b) - int(b[len(b)-1])
	p.Text, p.ttls, p.Body = b[packetHeader:text:text], b[text:ttls:ttls], b[ttls:end:end]
}

// Append appends the body with its TTLs lowered by the packet's age.
func (p *Packet) Append(dst []byte, now int64) []byte {
	start := len(dst)
	dst = append(dst, p.Body...)
	age := left(seconds(now), uint32(p.Stored))
	if age == 0 {
		return dst
	}
	body := dst[start:]
	for o := p.ttls; len(o) >= 2; o = o[2:] {
		field := body[binary.LittleEndian.Uint16(o):]
		ttl := binary.BigEndian.Uint32(field)
		binary.BigEndian.PutUint32(field, ttl-min(age, ttl))
	}
	return dst
}

// PutPacket keeps a packet for ttl seconds under a key made by AppendKey; Stored and Expires are not looked at. It reports false, and keeps
// nothing, when ttl is 0 or the body is not AN+NS+AR whole records that fit an entry.
func (v Since) PutPacket(key []byte, p *Packet, ttl uint32, now int64) bool {
	c, at := v.cache, seconds(now)
	if len(key) > keyRoom || keyName(key) == nil || ttl == 0 {
		return false
	}
	ttl = min(ttl, c.config.Load().MaxTTL)
	le := binary.LittleEndian
	text := p.Text[:min(len(p.Text), maxText)]
	h := c.secret.hash(kindPacket, key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.over() {
		return false
	}
	e := appendHeader(s.scratch[:0], kindPacket, byte(p.Security), key, uint16(p.Rcode), at, at+ttl)
	defer func() { s.scratch = e[:0] }()
	for _, v := range [...]uint16{p.Flags, p.AN, p.NS, p.AR, p.Reason} {
		e = le.AppendUint16(e, v)
	}
	e = le.AppendUint32(e, uint32(min(max(p.PrefetchAt, 0), 1<<32-1)))
	e = le.AppendUint16(e, uint16(len(text)))
	count := len(e)
	e = append(e, 0, 0)
	e = append(e, text...)
	start := len(e)
	e, ok := appendTTLs(e, p.Body, int(p.AN)+int(p.NS)+int(p.AR))
	if !ok {
		return false
	}
	le.PutUint16(e[count:], uint16((len(e)-start)/2))
	e = append(e, p.Body...)
	pad := 4 - len(e)%4 // 1 to 4 octets, the last of which says how many
	for len(e)%4 != 3 {
		e = append(e, 0)
	}
	return s.store(h, append(e, byte(pad)), at)
}

// appendTTLs appends where the TTLs of so many records are in a body.
func appendTTLs(dst, body []byte, records int) ([]byte, bool) {
	off := 0
	for range records {
		end, err := wire.SkipName(body, off)
		if err != nil || end+10 > len(body) || end+4 > 0xFFFF {
			return dst, false
		}
		dst = binary.LittleEndian.AppendUint16(dst, uint16(end+4))
		off = end + 10 + int(binary.BigEndian.Uint16(body[end+8:]))
	}
	return dst, off == len(body)
}

// FlushAnswer forgets the answers, failures and packets of a question, all variants, and returns how many there were. RRsets stay.
func (c *Cache) FlushAnswer(q message.Question) int {
	n := 0
	for v := range 256 {
		for _, kind := range [...]byte{kindAnswer, kindNoName, kindFailure} {
			n += c.remove(kind, q, uint8(v))
		}
		var room [keyRoom]byte
		n += c.removeKey(kindPacket, AppendKey(room[:0], q, uint8(v)))
	}
	return n
}

// ExpireAnswer makes the answers of a question expire, all variants, so that they are stale, and forgets its failures and packets. RRsets
// stay. It is for tests and operators.
func (c *Cache) ExpireAnswer(q message.Question) int {
	n := 0
	for v := range 256 {
		for _, kind := range [...]byte{kindAnswer, kindNoName} {
			n += c.expire(kind, q, uint8(v))
		}
		c.remove(kindFailure, q, uint8(v))
		var room [keyRoom]byte
		c.removeKey(kindPacket, AppendKey(room[:0], q, uint8(v)))
	}
	return n
}

// expire replaces an entry by one that expired when it was stored.
func (c *Cache) expire(kind byte, q message.Question, variant uint8) int {
	var room [keyRoom]byte
	key := appendKeyOf(room[:0], kind, q, variant)
	h := c.secret.hash(kind, key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, e := s.index.Load().find(h, kind, key)
	if slot == nil {
		return 0
	}
	copied := append(s.scratch[:0], e[:e.size()]...)
	binary.LittleEndian.PutUint32(copied[12:], e.stored())
	s.scratch = copied[:0]
	s.store(h, copied, e.stored())
	return 1
}
