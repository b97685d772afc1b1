package wire

import "encoding/binary"

// compressionSlots is the size of a Builder's table of name suffixes. A message with more distinct suffixes is compressed
// less well, never wrongly. Probing is bounded by compressionProbes, so that no message costs more than a constant
// number of comparisons a label (CVE-2024-8508).
const (
	compressionSlots  = 512
	compressionProbes = 4
	pointerLimit      = 0x4000
)

// Builder appends a message to a buffer of fixed room. A name already present is replaced by a pointer to it.
//
// Owner names are compared without regard to case. Names in RDATA keep the case they were loaded with (RFC 4343, Section
// 4.1; servers.md 5.1, case 11): they point to equal octets only, and into the question only if that is all lower case,
// so that the structure of a message depends on whether the question has capitals, and not on which.
//
// Methods that append return false and change nothing where the room does not suffice.
type Builder struct {
	msg   []byte
	limit int
	slots [compressionSlots]slot
	epoch uint16
	count [4]uint16
	// data is where names that RDATA may point to begin: behind a question with capitals, else at the header's end.
	data int
	// owner is where the name of the last record stands: the next one, a signature or another of the set, mostly has the same.
	owner int
}

type slot struct {
	hash  uint32
	off   uint16
	epoch uint16
}

// Reset starts a message in buf, whose length is the room; the header is left for Finish. Capacity beyond the room lets a
// record near its end be tried in compressed form.
func (b *Builder) Reset(buf []byte) {
	b.msg, b.limit = buf[:HeaderSize], len(buf)
	b.count, b.data, b.owner = [4]uint16{}, HeaderSize, 0
	b.epoch++
	if b.epoch == 0 {
		b.slots = [compressionSlots]slot{}
		b.epoch = 1
	}
}

// Len is the length so far.
func (b *Builder) Len() int { return len(b.msg) }

// Room is the number of octets that can still be appended.
func (b *Builder) Room() int { return b.limit - len(b.msg) }

// Reserve takes n octets off the room, for records to come that must fit (OPT, TSIG); a negative n gives them back.
func (b *Builder) Reserve(n int) { b.limit -= n }

// Count is the number of records in a section so far.
func (b *Builder) Count(s Section) int { return int(b.count[s]) }

// Bytes is the message so far.
func (b *Builder) Bytes() []byte { return b.msg }

// Mark remembers a place to fall back to.
func (b *Builder) Mark() (m Mark) { return Mark{len(b.msg), b.count} }

// Mark is a place in a message being built.
type Mark struct {
	length int
	count  [4]uint16
}

// Back undoes what was appended since m. Suffixes that were remembered beyond it are forgotten.
func (b *Builder) Back(m Mark) {
	b.msg, b.count, b.owner = b.msg[:m.length], m.count, 0
	for i := range b.slots {
		if s := &b.slots[i]; s.epoch == b.epoch && int(s.off) >= m.length {
			s.epoch = 0
		}
	}
}

// Question appends the question, its name as it is.
func (b *Builder) Question(name Name, t Type, c Class) bool {
	if b.Room() < len(name)+4 {
		return false
	}
	b.remember(name, len(b.msg))
	b.msg = append(b.msg, name...)
	for _, c := range name {
		if lower[c] != c {
			b.data = len(b.msg)
			break
		}
	}
	b.msg = binary.BigEndian.AppendUint16(b.msg, uint16(t))
	b.msg = binary.BigEndian.AppendUint16(b.msg, uint16(c))
	b.count[Questions]++
	return true
}

// RR appends a record with uncompressed RDATA. Names in RDATA are compressed for the types of RFC 1035 only
// (RFC 3597, Section 4). (servers.md 5.1, case 62)
func (b *Builder) RR(s Section, owner Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	// The most that can be needed is the uncompressed form.
	if b.Room() < len(owner)+10+len(rdata) {
		return b.tightRR(s, owner, t, c, ttl, rdata)
	}
	if b.owner > 0 && b.sameAt(b.owner, owner, false) {
		b.msg = append(b.msg, 0xC0|byte(b.owner>>8), byte(b.owner))
	} else {
		b.owner = b.name(owner, false)
	}
	b.msg = binary.BigEndian.AppendUint16(b.msg, uint16(t))
	b.msg = binary.BigEndian.AppendUint16(b.msg, uint16(c))
	b.msg = binary.BigEndian.AppendUint32(b.msg, ttl)
	b.msg = append(b.msg, 0, 0)
	at := len(b.msg)
	b.rdata(t, rdata)
	binary.BigEndian.PutUint16(b.msg[at-2:], uint16(len(b.msg)-at))
	b.count[s]++
	return true
}

// tightRR tries a record near the end of the room, in the spare capacity of the buffer, and takes it back if it is too long.
func (b *Builder) tightRR(s Section, owner Name, t Type, c Class, ttl uint32, rdata []byte) bool {
	if cap(b.msg)-len(b.msg) < len(owner)+10+len(rdata) {
		return false
	}
	m, limit := b.Mark(), b.limit
	b.limit = cap(b.msg)
	ok := b.RR(s, owner, t, c, ttl, rdata)
	b.limit = limit
	if !ok || len(b.msg) > limit {
		b.Back(m)
		return false
	}
	return true
}

func (b *Builder) rdata(t Type, rdata []byte) {
	layout := layoutOf(t)
	if layout == "" || (layout[0] != 'n' && layout != "2n") {
		b.msg = append(b.msg, rdata...)
		return
	}
	off := 0
	if layout[0] == '2' {
		if len(rdata) < 2 {
			b.msg = append(b.msg, rdata...)
			return
		}
		b.msg, off = append(b.msg, rdata[0], rdata[1]), 2
		layout = layout[1:]
	}
	for i := 0; i < len(layout) && layout[i] == 'n'; i++ {
		end, err := skipLabels(rdata, off)
		if err != nil {
			break
		}
		b.name(Name(rdata[off:end]), true)
		off = end
	}
	b.msg = append(b.msg, rdata[off:]...)
}

// Raw appends octets that are no names, such as an OPT record, and counts records of a section.
func (b *Builder) Raw(s Section, records int, data []byte) bool {
	if b.Room() < len(data) {
		return false
	}
	b.msg = append(b.msg, data...)
	b.count[s] += uint16(records)
	return true
}

// Finish writes the header and returns the message.
func (b *Builder) Finish(id, flags uint16) []byte {
	Header{ID: id, Flags: flags, QD: b.count[0], AN: b.count[1], NS: b.count[2], AR: b.count[3]}.Put(b.msg)
	return b.msg
}

const (
	hashSeed  = 0x9E3779B1
	hashPrime = 0x85EBCA6B
)

// name appends a name, as labels and at most one pointer (RFC 1035, Section 4.1.4). It returns where the whole name stands, for
// pointers to it; 0 where none may point.
func (b *Builder) name(n Name, rdata bool) int {
	var starts [128]uint8
	var hashes [128]uint32
	labels := 0
	for i := 0; i < len(n) && n[i] != 0 && labels < len(starts); i += int(n[i]) + 1 {
		starts[labels] = uint8(i)
		labels++
	}
	h := uint32(hashSeed)
	for i := labels - 1; i >= 0; i-- {
		h = hashLabel(h, n[starts[i]:])
		hashes[i] = h
	}
	at := len(b.msg)
	for i := range labels {
		start := int(starts[i])
		if off, ok := b.find(hashes[i], n[start:], rdata); ok {
			b.msg = append(b.msg, n[:start]...)
			b.msg = append(b.msg, 0xC0|byte(off>>8), byte(off))
			if start == 0 {
				return off
			}
			return pointable(at)
		}
		b.put(hashes[i], at+start)
	}
	b.msg = append(b.msg, n...)
	if labels == 0 {
		return 0 // the root is shorter than a pointer
	}
	return pointable(at)
}

// pointable is off if a pointer can reach it.
func pointable(off int) int {
	if off >= pointerLimit {
		return 0
	}
	return off
}

// remember enters the suffixes of a name that stands uncompressed at off.
func (b *Builder) remember(n Name, at int) {
	var starts [128]uint8
	labels := 0
	for i := 0; i < len(n) && n[i] != 0 && labels < len(starts); i += int(n[i]) + 1 {
		starts[labels] = uint8(i)
		labels++
	}
	h := uint32(hashSeed)
	for i := labels - 1; i >= 0; i-- {
		h = hashLabel(h, n[starts[i]:])
		b.put(h, at+int(starts[i]))
	}
}

// hashLabel mixes one label, length octet included, into the hash of what follows it.
func hashLabel(h uint32, label []byte) uint32 {
	for _, c := range label[:int(label[0])+1] {
		h = (h ^ uint32(lower[c])) * hashPrime
	}
	return h ^ h>>15
}

func (b *Builder) put(h uint32, off int) {
	if off >= pointerLimit {
		return
	}
	for i := range uint32(compressionProbes) {
		s := &b.slots[(h+i)%compressionSlots]
		if s.epoch != b.epoch {
			*s = slot{h, uint16(off), b.epoch}
			return
		}
	}
}

func (b *Builder) find(h uint32, suffix Name, rdata bool) (int, bool) {
	for i := range uint32(compressionProbes) {
		s := &b.slots[(h+i)%compressionSlots]
		if s.epoch != b.epoch || s.hash != h || rdata && int(s.off) < b.data {
			continue
		}
		if b.sameAt(int(s.off), suffix, rdata) {
			return int(s.off), true
		}
	}
	return 0, false
}

// sameAt compares a name with the one that stands in the message, following our own pointers; exact is with regard to case.
func (b *Builder) sameAt(off int, n Name, exact bool) bool {
	for i := 0; ; {
		if off >= len(b.msg) {
			return false
		}
		l := int(b.msg[off])
		if l >= 0xC0 {
			off = l&0x3F<<8 | int(b.msg[off+1])
			if exact && off < b.data {
				return false // the rest stands in a question whose case is the client's
			}
			continue
		}
		if l != int(n[i]) || off+1+l > len(b.msg) {
			return false
		}
		if l == 0 {
			return true
		}
		for k := 1; k <= l; k++ {
			if x, y := b.msg[off+k], n[i+k]; x != y && (exact || lower[x] != lower[y]) {
				return false
			}
		}
		off, i = off+l+1, i+l+1
	}
}
