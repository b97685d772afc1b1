package capture

import "encoding/binary"

// Link is a link layer by its number in capture files (tcpdump.org/linktypes.html).
type Link uint16

// Link layers that are read.
const (
	LinkNull     Link = 0
	LinkEthernet Link = 1
	LinkPPP      Link = 9
	linkRaw12    Link = 12
	linkRaw14    Link = 14
	linkHDLC     Link = 50
	LinkRaw      Link = 101
	LinkLoop     Link = 108
	LinkSLL      Link = 113
	LinkIPv4     Link = 228
	LinkIPv6     Link = 229
	LinkSLL2     Link = 276
)

// EtherTypes.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86DD
	etherVLAN  = 0x8100
	etherQinQ  = 0x88A8
	etherQinQ2 = 0x9100
	etherPPPoE = 0x8864
)

// maxTags bounds the VLAN tags of a frame (stops: work for a frame made of tags).
const maxTags = 4

// network finds the IP packet in a frame: nil, and why, where there is none.
func network(link Link, b []byte) ([]byte, Reason) {
	switch link {
	case LinkEthernet:
		if len(b) < 14 {
			return nil, Cut
		}
		return tagged(binary.BigEndian.Uint16(b[12:]), b[14:])
	case LinkNull, LinkLoop:
		// The family has the order of the machine that captured, and a number of its system: the packet says it better.
		if len(b) < 4 {
			return nil, Cut
		}
		return versioned(b[4:])
	case LinkRaw, linkRaw12, linkRaw14, LinkIPv4, LinkIPv6:
		return versioned(b)
	case LinkPPP, linkHDLC:
		if len(b) >= 2 && b[0] == 0xFF && b[1] == 3 { // address and control of HDLC (RFC 1662, Section 3.1)
			b = b[2:]
		}
		return ppp(b)
	case LinkSLL:
		if len(b) < 16 {
			return nil, Cut
		}
		return tagged(binary.BigEndian.Uint16(b[14:]), b[16:])
	case LinkSLL2:
		if len(b) < 20 {
			return nil, Cut
		}
		return tagged(binary.BigEndian.Uint16(b), b[20:])
	}
	return nil, UnknownLink
}

// tagged passes over VLAN tags (IEEE 802.1Q, 802.1ad).
func tagged(ether uint16, b []byte) ([]byte, Reason) {
	for range maxTags {
		switch ether {
		case etherIPv4, etherIPv6:
			return versioned(b)
		case etherVLAN, etherQinQ, etherQinQ2:
			if len(b) < 4 {
				return nil, Cut
			}
			ether, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case etherPPPoE:
			if len(b) < 6 {
				return nil, Cut
			}
			return ppp(b[6:])
		default:
			return nil, NotIP
		}
	}
	return nil, NotIP
}

// ppp reads the protocol of a PPP frame, which may be compressed to an octet (RFC 1661, Section 6.5).
func ppp(b []byte) ([]byte, Reason) {
	if len(b) < 2 {
		return nil, Cut
	}
	protocol := uint16(b[0])
	if b[0]&1 == 0 {
		protocol = binary.BigEndian.Uint16(b)
		b = b[1:]
	}
	if b = b[1:]; protocol != 0x21 && protocol != 0x57 {
		return nil, NotIP
	}
	return versioned(b)
}

// versioned is b if it can be an IP packet.
func versioned(b []byte) ([]byte, Reason) {
	if len(b) == 0 {
		return nil, Cut
	}
	if v := b[0] >> 4; v != 4 && v != 6 {
		return nil, NotIP
	}
	return b, 0
}
