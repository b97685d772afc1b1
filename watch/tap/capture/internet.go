package capture

import "encoding/binary"

// Protocols inside IP.
const (
	protoHopByHop = 0
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAuth     = 51
	protoDest     = 60
	protoMobility = 135
)

// internet reads an IP packet.
func (d *Decoder) internet(b []byte) {
	if b[0]>>4 == 4 {
		d.ipv4(b)
	} else {
		d.ipv6(b)
	}
}

// ipv4 reads a packet (RFC 791, Section 3.1).
func (d *Decoder) ipv4(b []byte) {
	if len(b) < 20 {
		d.reject(BadIP)
		return
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // filled in by the card that cut it into segments
	}
	if header < 20 || total < header || len(b) < header {
		d.reject(BadIP)
		return
	}
	m := &d.message
	setIPv4(&m.From, b[12:16])
	setIPv4(&m.To, b[16:20])
	m.Hop = b[8]
	payload := b[header:min(total, len(b))] // what follows is padding of the link
	d.cut = d.cut || total > len(b)
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&0x3FFF == 0 {
		d.transport(b[9], payload)
		return
	}
	d.fragment(fragmentKey{m.From, m.To, uint32(binary.BigEndian.Uint16(b[4:])), b[9]}, int(fragment&0x1FFF)*8, fragment&0x2000 != 0, payload)
}

func setIPv4(to *[16]byte, from []byte) {
	*to = [16]byte{10: 0xFF, 11: 0xFF}
	copy(to[12:], from)
}

// maxHeaders bounds the extension headers of a packet (stops: work for a packet made of headers).
const maxHeaders = 8

// ipv6 reads a packet with its extension headers (RFC 8200, Section 4).
func (d *Decoder) ipv6(b []byte) {
	if len(b) < 40 {
		d.reject(BadIP)
		return
	}
	length, proto := int(binary.BigEndian.Uint16(b[4:])), b[6]
	m := &d.message
	m.Hop = b[7]
	copy(m.From[:], b[8:24])
	copy(m.To[:], b[24:40])
	b = b[40:]
	if length > len(b) {
		d.cut = true
	} else if length > 0 {
		b = b[:length]
	}
	for range maxHeaders {
		var size int
		switch proto {
		case protoHopByHop, protoRouting, protoDest, protoMobility:
			if len(b) < 8 {
				d.reject(BadIP)
				return
			}
			size = (int(b[1]) + 1) * 8
		case protoAuth: // RFC 4302, Section 2.2: in words of four octets, less two
			if len(b) < 8 {
				d.reject(BadIP)
				return
			}
			size = (int(b[1]) + 2) * 4
		case protoFragment:
			d.ipv6Fragment(b)
			return
		default:
			d.transport(proto, b)
			return
		}
		if size > len(b) {
			d.reject(BadIP)
			return
		}
		proto, b = b[0], b[size:]
	}
	d.reject(BadIP)
}

// ipv6Fragment reads the fragment header (RFC 8200, Section 4.5).
func (d *Decoder) ipv6Fragment(b []byte) {
	if len(b) < 8 {
		d.reject(BadIP)
		return
	}
	offset := binary.BigEndian.Uint16(b[2:])
	if offset&^6 == 0 { // RFC 6946: an atomic fragment is a whole packet
		d.transport(b[0], b[8:])
		return
	}
	m := &d.message
	d.fragment(fragmentKey{m.From, m.To, binary.BigEndian.Uint32(b[4:]), b[0]}, int(offset&^7), offset&1 != 0, b[8:])
}

// transport reads a whole datagram.
func (d *Decoder) transport(proto uint8, b []byte) {
	switch proto {
	case protoUDP:
		d.udp(b)
	case protoTCP:
		d.tcp(b)
	default:
		d.reject(OtherProtocol)
	}
}

// between reads between which ports it goes, with which UDP and TCP begin. False: the header is not whole, or nobody wants these ports.
func (d *Decoder) between(b []byte, header int) bool {
	if len(b) < header {
		d.reject(BadTransport)
		return false
	}
	m := &d.message
	m.FromPort, m.ToPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	d.countPorts(m.FromPort, m.ToPort)
	return d.wants(m.FromPort, m.ToPort)
}

// udp reads a datagram (RFC 768).
func (d *Decoder) udp(b []byte) {
	if !d.between(b, 8) {
		return
	}
	m := &d.message
	length := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case length == 0: // longer than the field holds (RFC 2675, Section 4)
	case length < 8:
		d.reject(BadTransport)
		return
	case length > len(b):
		d.reject(Cut)
		return
	default:
		b = b[:length]
	}
	m.TCP = false
	d.deliver(b[8:])
}

// countPorts counts a packet of the ports that DNS has, in clear or not.
func (d *Decoder) countPorts(from, to uint16) {
	for _, p := range [...]uint16{from, to} {
		if p == 53 || p == portTLS || p == 5353 || p == 5355 {
			d.DNSPorts++
			return
		}
	}
}
