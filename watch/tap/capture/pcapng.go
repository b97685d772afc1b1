package capture

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Types of blocks (draft-ietf-opsawg-pcapng).
const (
	blockSection    = 0x0A0D0D0A
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6

	sectionMagic = 0x1A2B3C4D
)

const (
	// maxBlock is the largest packet with options; larger blocks of other kinds are passed over unread.
	maxBlock = maxPacket + 64<<10
	// maxInterfaces bounds the interfaces of a section.
	maxInterfaces = 4096
)

// pcapng is the format of blocks.
type pcapng struct{ interfaces []captured }

// captured is an interface that was captured on.
type captured struct {
	link  Link
	snap  uint32
	unit  uint64 // parts a second
	power bool   // unit is a power of two, and its logarithm
	shift int64  // s to add
}

func (c *pcapng) name() string { return "pcapng" }

func (c *pcapng) record(f *File, p *Packet) (bool, error) {
	b, err := f.take(12)
	if err != nil {
		return false, err
	}
	if binary.BigEndian.Uint32(b) == blockSection { // reads the same in both orders
		order := binary.ByteOrder(binary.LittleEndian)
		if binary.BigEndian.Uint32(b[8:]) == sectionMagic {
			order = binary.BigEndian
		} else if order.Uint32(b[8:]) != sectionMagic {
			return false, f.wrong("a section without its magic number")
		}
		f.order, c.interfaces = order, c.interfaces[:0]
	} else if f.order == nil {
		return false, f.wrong("a block before the first section")
	}
	kind, length := f.order.Uint32(b), f.order.Uint32(b[4:])
	if length < 12 || length%4 != 0 {
		return false, f.wrong("a block of %d octets", length)
	}
	if length > maxBlock {
		return false, c.passOver(f, kind, length)
	}
	if b, err = f.take(int(length)); err != nil {
		return false, err
	}
	if f.order.Uint32(b[length-4:]) != length {
		return false, f.wrong("a block whose two lengths differ: %d and %d", length, f.order.Uint32(b[length-4:]))
	}
	return c.block(f, p, kind, b[8:length-4])
}

// passOver leaves a block out that is too long to be a packet.
func (c *pcapng) passOver(f *File, kind, length uint32) error {
	if kind == blockPacket || kind == blockOldPacket || kind == blockSimple {
		return f.wrong("a packet block of %d octets", length)
	}
	f.held = 0
	n, err := f.in.Discard(int(length))
	f.offset += int64(n)
	if err != nil {
		return f.wrong("the file ends inside a block of %d octets", length)
	}
	return nil
}

func (c *pcapng) block(f *File, p *Packet, kind uint32, b []byte) (bool, error) {
	switch kind {
	case blockInterface:
		return false, c.describe(f, b)
	case blockStatistics:
		if len(b) >= 12 {
			c.statistics(f, b[12:])
		}
	case blockPacket, blockOldPacket:
		if len(b) < 20 {
			return false, f.wrong("a packet block without its fixed part")
		}
		which := f.order.Uint32(b)
		if kind == blockOldPacket {
			which = uint32(f.order.Uint16(b))
		}
		return true, c.packet(f, p, which, f.order.Uint32(b[4:]), f.order.Uint32(b[8:]), f.order.Uint32(b[12:]), f.order.Uint32(b[16:]), b[20:])
	case blockSimple:
		if len(b) < 4 || len(c.interfaces) == 0 {
			return false, f.wrong("a simple packet block without its fixed part or without an interface")
		}
		original := f.order.Uint32(b)
		size := min(original, uint32(len(b)-4))
		if snap := c.interfaces[0].snap; snap > 0 {
			size = min(size, snap)
		}
		*p = Packet{Link: c.interfaces[0].link, Length: int(original), Data: b[4 : 4+size]}
		return true, nil
	}
	return false, nil
}

func (c *pcapng) packet(f *File, p *Packet, which, high, low, size, original uint32, b []byte) error {
	if uint64(which) >= uint64(len(c.interfaces)) {
		return f.wrong("a packet of interface %d, there are %d", which, len(c.interfaces))
	}
	if uint64(size) > uint64(len(b)) {
		return f.wrong("a packet of %d octets in a block that has room for %d", size, len(b))
	}
	i := &c.interfaces[which]
	*p = Packet{Time: i.time(uint64(high)<<32 | uint64(low)), Link: i.link, Length: max(int(original), int(size)), Data: b[:size]}
	return nil
}

// maxSeconds is the last second that nanoseconds in an int64 reach, in 2262.
const maxSeconds = math.MaxInt64/1_000_000_000 - 1

// time turns a count of an interface's units into nanoseconds; 0, unknown, where that cannot be meant.
func (i *captured) time(t uint64) int64 {
	var sec, rest uint64
	if i.power {
		sec, rest = t>>i.unit, t&(1<<i.unit-1)
		high, low := bits.Mul64(rest, 1e9)
		rest = low>>i.unit | high<<(64-i.unit)
	} else {
		sec, rest = t/i.unit, t%i.unit
		if i.unit <= 1e9 {
			rest *= 1e9 / i.unit
		} else {
			rest /= i.unit / 1e9
		}
	}
	if sec > maxSeconds || i.shift > maxSeconds || i.shift < -maxSeconds {
		return 0
	}
	at := int64(sec) + i.shift
	if at < 0 || at > maxSeconds {
		return 0
	}
	return at*1e9 + int64(rest)
}

// describe reads an interface with its options.
func (c *pcapng) describe(f *File, b []byte) error {
	if len(b) < 8 {
		return f.wrong("an interface block without its fixed part")
	}
	if len(c.interfaces) >= maxInterfaces {
		return f.wrong("more than %d interfaces", maxInterfaces)
	}
	i := captured{link: Link(f.order.Uint16(b)), snap: f.order.Uint32(b[4:]), unit: 1e6}
	options(f.order, b[8:], func(code uint16, v []byte) {
		switch {
		case code == 9 && len(v) >= 1: // if_tsresol
			i.resolution(v[0])
		case code == 14 && len(v) >= 8: // if_tsoffset
			i.shift = int64(f.order.Uint64(v))
		}
	})
	c.interfaces = append(c.interfaces, i)
	return nil
}

// resolution reads if_tsresol: the negative power of ten, or of two.
func (i *captured) resolution(v byte) {
	if i.power = v&0x80 != 0; i.power {
		i.unit = uint64(min(v&0x7F, 63))
		return
	}
	i.unit = 1
	for range min(v, 18) {
		i.unit *= 10
	}
}

// statistics notes what an interface lost: isb_ifdrop and isb_osdrop.
func (c *pcapng) statistics(f *File, b []byte) {
	options(f.order, b, func(code uint16, v []byte) {
		if (code == 5 || code == 7) && len(v) >= 8 {
			f.LostByCapture += f.order.Uint64(v)
		}
	})
}

// options hands each option to each.
func options(order binary.ByteOrder, b []byte, each func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, length := order.Uint16(b), int(order.Uint16(b[2:]))
		if b = b[4:]; code == 0 || length > len(b) {
			return
		}
		each(code, b[:length])
		b = b[min((length+3)&^3, len(b)):]
	}
}

// fits: a block of a usual kind whose two lengths agree.
func (c *pcapng) fits(f *File, b []byte) bool {
	if f.order == nil || len(b) < 12 {
		return false
	}
	kind, length := f.order.Uint32(b), f.order.Uint32(b[4:])
	if kind != blockSection && (kind == 0 || kind > 16) || length < 12 || length%4 != 0 || uint64(length) > uint64(min(len(b), maxBlock)) {
		return false
	}
	return f.order.Uint32(b[length-4:]) == length
}
