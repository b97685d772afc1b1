package capture

import "encoding/binary"

// magics are the first four octets of a pcap file, as a number in its own order, and how many nanoseconds its fractions count in.
var magics = map[uint32]int64{
	0xA1B2C3D4: 1000,
	0xA1B23C4D: 1,
	0xA1B2CD34: 1000, // with longer records (Kuznetzov's)
}

const (
	kuznetzov  = 0xA1B2CD34
	pcapHeader = 24
)

// pcap is the classic format (draft-ietf-opsawg-pcap).
type pcap struct {
	link   Link
	unit   int64
	header int // octets before a packet
}

func newPcap(f *File) (*pcap, error) {
	b, err := f.take(4)
	if err != nil {
		return nil, err
	}
	f.order = binary.LittleEndian
	magic := f.order.Uint32(b)
	if magics[magic] == 0 {
		f.order = binary.BigEndian
		magic = f.order.Uint32(b)
	}
	c := &pcap{unit: magics[magic], header: 16}
	if c.unit == 0 {
		return nil, f.wrong("no capture file: it begins with %x", b)
	}
	if magic == kuznetzov {
		c.header = 24
	}
	if b, err = f.take(pcapHeader); err != nil {
		return nil, err
	}
	if major := f.order.Uint16(b[4:]); major != 2 {
		return nil, f.wrong("pcap of version %d, not 2", major)
	}
	c.link = Link(f.order.Uint32(b[20:]) & 0xFFFF) // the rest tells about frame check sequences
	f.release()
	return c, nil
}

func (c *pcap) name() string { return "pcap" }

// lengths are how much of the packet is there, and how much there was.
func (c *pcap) lengths(f *File, b []byte) (captured, original uint32) {
	return f.order.Uint32(b[8:]), f.order.Uint32(b[12:])
}

func (c *pcap) record(f *File, p *Packet) (bool, error) {
	b, err := f.take(c.header)
	if err != nil {
		return false, err
	}
	captured, original := c.lengths(f, b)
	if captured > maxPacket {
		return false, f.wrong("a packet of %d octets", captured)
	}
	if fraction := f.order.Uint32(b[4:]); int64(fraction)*c.unit >= 1e9 {
		return false, f.wrong("a packet at %d parts of a second", fraction)
	}
	if b, err = f.take(c.header + int(captured)); err != nil {
		return false, err
	}
	*p = Packet{Time: int64(f.order.Uint32(b))*1e9 + int64(f.order.Uint32(b[4:]))*c.unit, Link: c.link, Length: max(int(original), int(captured)), Data: b[c.header:]}
	return true, nil
}

// fits: a header that can be meant, and behind its packet another one or the end.
func (c *pcap) fits(f *File, b []byte) bool {
	for range 2 {
		if len(b) < c.header {
			return false
		}
		captured, original := c.lengths(f, b)
		fraction := int64(f.order.Uint32(b[4:])) * c.unit
		if captured < 14 || captured > maxPacket || captured > original || original > maxPacket || fraction >= 1e9 || !f.near(int64(f.order.Uint32(b))*1e9) {
			return false
		}
		rest := len(b) - c.header - int(captured)
		if rest <= 0 {
			return rest == 0
		}
		b = b[len(b)-rest:]
	}
	return true
}
