package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Writer writes messages as a pcap file: each as an UDP datagram in a packet of its own, of link layer "raw IP", times in nanoseconds. What came over
// a stream is written as a datagram too, since its segments are not known any more; checksums are right.
type Writer struct {
	out *bufio.Writer
	buf []byte
}

// NewWriter writes the header of a file.
func NewWriter(out io.Writer) (*Writer, error) {
	w := &Writer{out: bufio.NewWriterSize(out, 64<<10)}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xA1B23C4D)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, maxPacket)
	b = le.AppendUint32(b, uint32(LinkRaw))
	_, err := w.out.Write(b)
	return w, err
}

// maxDatagram is the longest DNS message in a datagram over IPv4.
const maxDatagram = 65535 - 20 - 8

// Write appends a message; one that is too long for a datagram is refused.
func (w *Writer) Write(m *Message) error {
	if len(m.Wire) > maxDatagram {
		return fmt.Errorf("a message of %d octets does not fit into a datagram", len(m.Wire))
	}
	le := binary.LittleEndian
	b := w.buf[:0]
	b = le.AppendUint32(b, uint32(m.Time/1e9))
	b = le.AppendUint32(b, uint32(m.Time%1e9))
	b = append(b, make([]byte, 8)...)
	hop := m.Hop
	if hop == 0 {
		hop = 64
	}
	if four(&m.From) && four(&m.To) {
		b = appendIPv4(b, m, hop)
	} else {
		b = appendIPv6(b, m, hop)
	}
	le.PutUint32(b[8:], uint32(len(b)-16))
	le.PutUint32(b[12:], uint32(len(b)-16))
	w.buf = b
	_, err := w.out.Write(b)
	return err
}

// Flush sends what was gathered.
func (w *Writer) Flush() error { return w.out.Flush() }

func four(a *[16]byte) bool { return [12]byte(a[:12]) == [12]byte{10: 0xFF, 11: 0xFF} }

func appendIPv4(b []byte, m *Message, hop uint8) []byte {
	be := binary.BigEndian
	at := len(b)
	b = append(b, 0x45, 0)
	b = be.AppendUint16(b, uint16(28+len(m.Wire)))
	b = append(b, 0, 0, 0, 0, hop, protoUDP, 0, 0)
	b = append(append(b, m.From[12:]...), m.To[12:]...)
	be.PutUint16(b[at+10:], ^fold(sum(b[at:], 0)))
	return appendUDP(b, m, m.From[12:], m.To[12:])
}

func appendIPv6(b []byte, m *Message, hop uint8) []byte {
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(m.Wire)))
	b = append(b, protoUDP, hop)
	b = append(append(b, m.From[:]...), m.To[:]...)
	return appendUDP(b, m, m.From[:], m.To[:])
}

// appendUDP writes the datagram with its checksum over the pseudo header (RFC 768; RFC 8200, Section 8.1).
func appendUDP(b []byte, m *Message, from, to []byte) []byte {
	be := binary.BigEndian
	at := len(b)
	length := uint16(8 + len(m.Wire))
	b = be.AppendUint16(b, m.FromPort)
	b = be.AppendUint16(b, m.ToPort)
	b = be.AppendUint16(b, length)
	b = append(b, 0, 0)
	b = append(b, m.Wire...)
	check := ^fold(sum(b[at:], sum(to, sum(from, uint64(protoUDP)+uint64(length)))))
	if check == 0 {
		check = 0xFFFF
	}
	be.PutUint16(b[at+6:], check)
	return b
}

func sum(b []byte, s uint64) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	return uint16(s)
}
