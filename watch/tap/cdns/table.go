package cdns

import (
	"encoding/binary"

	"anyu/dns/wire"
)

// filling is a block being filled, with the places of what is in its tables already.
type filling struct {
	block
	addresses  map[string]uint
	names      map[string]uint
	classTypes map[classType]uint
	signatures map[flat]uint
	questions  map[question]uint
	lists      map[string]uint
	rrs        map[flatRR]uint
	rrLists    map[string]uint

	partial bool     // the records of its responses are not kept
	times   []moment // of Items
	broken  []moment // of Malformed
	octets  int      // about what the block takes in memory
	key     []byte
}

// moment is when an item was, until the block's earliest time is known; ns since 1970.
type moment struct {
	timed, delayed bool
	time, delay    int64
}

// flat is a signature whose equals can be found. has tells which fields are there, by their keys.
type flat struct {
	has                            uint32
	server, classType, options     uint
	dnsFlags                       uint32
	port, rcode, qd, an, ns, ar    uint16
	payload, answer                uint16
	transport, kind, flags, opcode uint8
	version                        uint8
}

type flatRR struct {
	name, classType uint
	ttl             uint32
	has             bool // data
	data            uint
}

func newFilling() *filling {
	return &filling{addresses: map[string]uint{}, names: map[string]uint{}, classTypes: map[classType]uint{}, signatures: map[flat]uint{},
		questions: map[question]uint{}, lists: map[string]uint{}, rrs: map[flatRR]uint{}, rrLists: map[string]uint{}}
}

// placeOf finds or makes the entry of a table.
func placeOf[K comparable, E any](places map[K]uint, table *[]E, key K, make func() E) uint {
	i, ok := places[key]
	if !ok {
		i = uint(len(*table))
		places[key] = i
		*table = append(*table, make())
	}
	return i
}

// octetsOf does so for octets; it allocates for new ones only.
func (f *filling) octetsOf(places map[string]uint, table *[][]byte, b []byte) uint {
	if i, ok := places[string(b)]; ok {
		return i
	}
	f.octets += 2*len(b) + 64
	i := uint(len(*table))
	key := string(b)
	places[key] = i
	*table = append(*table, []byte(key))
	return i
}

func (f *filling) address(b []byte) *uint {
	if b == nil {
		return nil
	}
	i := f.octetsOf(f.addresses, &f.Tables.Addresses, b)
	return &i
}

func (f *filling) name(b []byte) uint { return f.octetsOf(f.names, &f.Tables.Names, b) }

func (f *filling) classType(t, class uint16) uint {
	ct := classType{t, class}
	return placeOf(f.classTypes, &f.Tables.ClassTypes, ct, func() classType { return ct })
}

func (f *filling) question(q question) uint {
	return placeOf(f.questions, &f.Tables.Questions, q, func() question { return q })
}

func (f *filling) rr(r flatRR) uint {
	return placeOf(f.rrs, &f.Tables.RRs, r, func() rr {
		f.octets += 128
		out := rr{Name: r.name, ClassType: r.classType, TTL: &r.ttl}
		if r.has {
			out.Data = &r.data
		}
		return out
	})
}

// list finds or makes a list of indexes; nil where it is empty.
func (f *filling) list(places map[string]uint, table *[][]uint, list []uint) *uint {
	if len(list) == 0 {
		return nil
	}
	f.key = f.key[:0]
	for _, i := range list {
		f.key = binary.AppendUvarint(f.key, uint64(i))
	}
	i, ok := places[string(f.key)]
	if !ok {
		f.octets += 8*len(list) + len(f.key) + 64
		i = uint(len(*table))
		places[string(f.key)] = i
		*table = append(*table, append([]uint(nil), list...))
	}
	return &i
}

func (f *filling) signature(s flat) uint {
	return placeOf(f.signatures, &f.Tables.Signatures, s, func() signature {
		f.octets += 256
		return signature{
			Server: kept(s.has, 0, s.server), Port: kept(s.has, 1, s.port), Transport: kept(s.has, 2, s.transport), Kind: kept(s.has, 3, s.kind),
			Flags: kept(s.has, 4, s.flags), Opcode: kept(s.has, 5, s.opcode), DNSFlags: kept(s.has, 6, s.dnsFlags), Rcode: kept(s.has, 7, s.rcode),
			ClassType: kept(s.has, 8, s.classType), QD: kept(s.has, 9, s.qd), AN: kept(s.has, 10, s.an), NS: kept(s.has, 11, s.ns), AR: kept(s.has, 12, s.ar),
			Version: kept(s.has, 13, s.version), Payload: kept(s.has, 14, s.payload), Options: kept(s.has, 15, s.options), Answer: kept(s.has, 16, s.answer),
		}
	})
}

// kept is a value whose bit is set.
func kept[T any](has uint32, bit int, v T) *T {
	if has>>bit&1 == 0 {
		return nil
	}
	return &v
}

// parsed is a message in the words of a block.
type parsed struct {
	wire.Header
	name, classType uint // of the first question, where there is one
	questions       []uint
	sections        [3][]uint
	trailing        bool

	edns    bool
	upper   uint16 // of the rcode, bits 4 to 11
	payload uint16
	version uint8
	do      bool
	options uint
}

// recordFixed is what a record has between its owner and its data (RFC 1035, Section 4.1.3).
const recordFixed = 10

// parse takes a message apart; false: it cannot be read and belongs to the malformed ones. Where asked, its OPT record goes into the signature and not
// among the records (RFC 8618, Section 7.3.2.3.2).
func (f *filling) parse(msg []byte, asked bool, p *parsed) bool {
	if len(msg) < wire.HeaderSize {
		return false
	}
	p.reset(wire.ReadHeader(msg))
	at := wire.HeaderSize
	for n := range int(p.QD) {
		var name [wire.MaxName]byte
		b, end, err := wire.UnpackName(msg, at, name[:0])
		if err != nil || end+4 > len(msg) {
			return false
		}
		q := question{f.name(b), f.classType(binary.BigEndian.Uint16(msg[end:]), binary.BigEndian.Uint16(msg[end+2:]))}
		if n == 0 {
			p.name, p.classType = q.Name, q.ClassType
		} else {
			p.questions = append(p.questions, f.question(q))
		}
		at = end + 4
	}
	for section, count := range [...]uint16{p.AN, p.NS, p.AR} {
		for range count {
			end, ok := f.record(msg, at, asked && section == 2, section, p)
			if !ok {
				return false
			}
			at = end
		}
	}
	p.trailing = at < len(msg)
	return true
}

func (p *parsed) reset(h wire.Header) {
	*p = parsed{Header: h, questions: p.questions[:0], sections: [3][]uint{p.sections[0][:0], p.sections[1][:0], p.sections[2][:0]}}
}

// record takes one record in and returns where it ends.
func (f *filling) record(msg []byte, at int, options bool, section int, p *parsed) (int, bool) {
	var store [wire.MaxName]byte
	owner, end, err := wire.UnpackName(msg, at, store[:0])
	if err != nil || end+recordFixed > len(msg) {
		return 0, false
	}
	be := binary.BigEndian
	t, class, ttl, length := be.Uint16(msg[end:]), be.Uint16(msg[end+2:]), be.Uint32(msg[end+4:]), int(be.Uint16(msg[end+8:]))
	body := end + recordFixed
	if body+length > len(msg) {
		return 0, false
	}
	if wire.Type(t) == wire.TypeOPT && section == 2 && !p.edns {
		p.edns, p.upper, p.payload = true, uint16(ttl>>24)<<4, class
		if options && len(owner) == 1 && ttl&0x7FFF == 0 {
			p.version, p.do = uint8(ttl>>16), ttl>>15&1 == 1
			p.options = f.name(msg[body : body+length])
			return body + length, true
		}
		p.edns = !options // one that a signature cannot hold stays a record
	}
	r := flatRR{name: f.name(owner), classType: f.classType(t, class), ttl: ttl}
	if length > 0 { // RFC 2136, Section 2.5.2: those of an update may have none
		data, err := wire.UnpackRData(msg, wire.Type(t), body, length, f.key[:0])
		f.key = data[:0]
		if err != nil {
			return 0, false
		}
		r.has, r.data = true, f.name(data)
	}
	p.sections[section] = append(p.sections[section], f.rr(r))
	return body + length, true
}
