package capture_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"anyu/watch/tap/capture"
)

// query is a message of n octets with an ID.
func query(id uint16, n int) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint16(b, id)
	b[5] = 1
	return b
}

// framed puts its length before a message (RFC 1035, Section 4.2.2).
func framed(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

// segment is a TCP segment in an IPv4 packet.
func segment(seq uint32, flags byte, data []byte) []byte {
	be := binary.BigEndian
	b := []byte{0x45, 0}
	b = be.AppendUint16(b, uint16(40+len(data)))
	b = append(b, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53)
	b = be.AppendUint16(b, 40000)
	b = be.AppendUint16(b, 53)
	b = be.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, 5<<4, flags, 0, 0, 0, 0, 0, 0)
	return append(b, data...)
}

// feed gives packets to a decoder, a millisecond apart, and returns the IDs of the messages that came.
func feed(packets ...[]byte) (ids string, d *capture.Decoder) {
	var got []string
	d = capture.NewDecoder(capture.Ports(), func(m *capture.Message) {
		got = append(got, fmt.Sprintf("%d:%d", binary.BigEndian.Uint16(m.Wire), len(m.Wire)))
	})
	for i, b := range packets {
		d.Packet(&capture.Packet{Time: 1e9 + int64(i)*1e6, Frame: uint64(i + 1), Link: capture.LinkRaw, Length: len(b), Data: b})
	}
	d.Close()
	return strings.Join(got, " "), d
}

func TestStream_readsSegmentsInAnyOrder(t *testing.T) {
	all := append(append(framed(query(1, 30)), framed(query(2, 40))...), framed(query(3, 50))...)
	const first = 0xFFFFFFF0 // the numbers wrap
	n := len(all)
	part := func(from, to int) []byte { return segment(first+1+uint32(from), 0x18, all[from:to]) }
	syn := segment(first, 2, nil)
	for name, c := range map[string]struct {
		packets [][]byte
		want    string
		reason  capture.Reason
		count   uint64
	}{
		"one segment":         {[][]byte{syn, part(0, n)}, "1:30 2:40 3:50", capture.NoData, 1},
		"fast open":           {[][]byte{segment(first, 2, all[:40]), part(40, n)}, "1:30 2:40 3:50", capture.NoData, 0},
		"octet by octet":      {append([][]byte{syn}, octets(part, n)...), "1:30 2:40 3:50", capture.Waiting, uint64(n - 3)},
		"backwards":           {[][]byte{syn, part(60, n), part(33, 60), part(1, 33), part(0, 1)}, "1:30 2:40 3:50", capture.Hole, 0},
		"sent again, overlap": {[][]byte{syn, part(0, 40), part(0, 40), part(20, n), part(50, 60)}, "1:30 2:40 3:50", capture.Repeated, 2},
		"no beginning":        {[][]byte{part(5, 20), part(32, n)}, "2:40 3:50", capture.MidStream, 1},
		"hole in a message":   {[][]byte{syn, part(0, 10), part(20, 60), segment(first+1+uint32(n), 1, nil), part(60, n)}, "2:40 3:50", capture.Hole, 1},
		"hole over an end":    {[][]byte{syn, part(0, 10), part(74, n), segment(first+1+uint32(n), 1, nil)}, "3:50", capture.Hole, 1},
		"never completed":     {[][]byte{syn, part(0, 20)}, "", capture.Hole, 1},
		"length of eight":     {[][]byte{syn, segment(first+1, 0x18, []byte{0, 8, 1, 2, 3})}, "", capture.BadLength, 1},
		"new connection":      {[][]byte{syn, part(0, 10), segment(7, 2, nil), segment(8, 0x18, all[:32])}, "1:30", capture.Hole, 1},
	} {
		got, d := feed(c.packets...)
		if got != c.want || d.Reasons[c.reason] != c.count {
			t.Errorf("%s: %q, %q %d times; want %q, %d", name, got, c.reason, d.Reasons[c.reason], c.want, c.count)
		}
	}
}

func octets(part func(from, to int) []byte, n int) (list [][]byte) {
	for i := range n {
		list = append(list, part(i, i+1))
	}
	return list
}

// Connections without end and holes without end take no more than their bounds.
func TestStream_isBounded(t *testing.T) {
	d := capture.NewDecoder(capture.Ports(), func(*capture.Message) {})
	half := framed(query(1, 2000))[:1400]
	for i := range 40_000 {
		b := segment(uint32(i), 0x18, half)
		binary.BigEndian.PutUint32(b[12:], uint32(i)) // another client
		d.Packet(&capture.Packet{Time: 1e9, Link: capture.LinkRaw, Length: len(b), Data: b})
	}
	if streams, octets := d.Held(); streams > 16384 || octets > 32<<20 {
		t.Errorf("%d streams hold %d octets", streams, octets)
	}
	d.Close()
	if streams, octets := d.Held(); streams != 0 || octets != 0 {
		t.Errorf("after the end %d streams hold %d octets", streams, octets)
	}
}

// datagram is an UDP message of n octets in IPv4 fragments of size octets of payload, or IPv6 ones.
func fragments(v6 bool, id uint16, n, size int) (list [][]byte) {
	be := binary.BigEndian
	udp := be.AppendUint16(nil, 40000)
	udp = be.AppendUint16(udp, 53)
	udp = be.AppendUint16(udp, uint16(8+n))
	udp = append(append(udp, 0, 0), query(id, n)...)
	for off := 0; off < len(udp); off += size {
		part := udp[off:min(off+size, len(udp))]
		more := uint16(0)
		if off+size < len(udp) {
			more = 1
		}
		var b []byte
		if v6 {
			b = append(be.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(8+len(part))), 44, 64)
			b = append(append(b, make([]byte, 31)...), 1)
			b = be.AppendUint16(append(b, 17, 0), uint16(off)|more)
			b = append(be.AppendUint32(b, uint32(id)), part...)
		} else {
			b = be.AppendUint16([]byte{0x45, 0}, uint16(20+len(part)))
			b = be.AppendUint16(be.AppendUint16(b, id), more<<13|uint16(off/8))
			b = append(append(b, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53), part...)
		}
		list = append(list, b)
	}
	return list
}

func TestFragments_comeTogether(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		f := fragments(v6, 7, 3000, 1480)
		g := fragments(v6, 8, 3000, 1480)
		overlap := fragments(v6, 7, 3000, 1472)
		for name, c := range map[string]struct {
			packets [][]byte
			want    string
			reason  capture.Reason
			count   uint64
		}{
			"in order":    {f, "7:3000", capture.Waiting, 2},
			"backwards":   {[][]byte{f[2], f[1], f[0]}, "7:3000", capture.Waiting, 2},
			"two at once": {[][]byte{f[0], g[2], f[1], g[0], f[2], g[1]}, "7:3000 8:3000", capture.Waiting, 4},
			"twice":       {[][]byte{f[0], f[0], f[1], f[2]}, "7:3000", capture.Waiting, 3},
			"one lost":    {[][]byte{f[0], f[2]}, "", capture.LostFragments, 2},
			"overlap":     {[][]byte{f[0], overlap[1]}, "", capture.BadFragment, 1},
			"whole":       {fragments(v6, 9, 100, 1480), "9:100", capture.Waiting, 0},
		} {
			got, d := feed(c.packets...)
			if got != c.want || d.Reasons[c.reason] != c.count {
				t.Errorf("v6 %v, %s: %q, %q %d times; want %q, %d", v6, name, got, c.reason, d.Reasons[c.reason], c.want, c.count)
			}
		}
	}
}

// A record that is broken is told with its place, and what follows is read.
func TestFile_goesOnBehindABreach(t *testing.T) {
	var b bytes.Buffer
	w, err := capture.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		m := capture.Message{Time: 1_700_000_000e9 + int64(i)*1e6, From: [16]byte{10: 255, 11: 255, 12: 192, 15: 1}, To: [16]byte{10: 255, 11: 255, 12: 192, 15: 53}, FromPort: 4000, ToPort: 53, Wire: query(uint16(i), 40)}
		if err := w.Write(&m); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	whole := b.Bytes()
	record := 16 + 20 + 8 + 40
	if d := decode(t, bytes.NewReader(whole)); d.Packets != 10 || d.Messages != 10 || len(d.errors) != 0 {
		t.Fatalf("%d packets, %d messages, %v", d.Packets, d.Messages, d.errors)
	}
	third := 24 + 2*record
	broken := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(broken[third+8:], 0x7FFFFFFF)
	d := decode(t, bytes.NewReader(broken))
	if want := fmt.Sprintf("octet %d, after frame 2: a packet of 2147483647 octets", third); d.Packets != 9 || fmt.Sprint(d.errors) != "["+want+"]" {
		t.Errorf("%d packets, %v; want 9, %s", d.Packets, d.errors, want)
	}
	d = decode(t, bytes.NewReader(whole[:len(whole)-10]))
	if want := fmt.Sprintf("[octet %d, after frame 9: the file ends inside a record: 74 octets of 84 are there]", 24+9*record); d.Packets != 9 || fmt.Sprint(d.errors) != want {
		t.Errorf("%d packets, %v; want 9, %s", d.Packets, d.errors, want)
	}
}

// IPv6 as IPv4: what is written is read, with the same times, addresses and octets.
func TestWriter_writesWhatIsRead(t *testing.T) {
	six := capture.Message{Time: 1_700_000_000_123_456_789, From: [16]byte{0x20, 1, 15: 1}, To: [16]byte{0x20, 1, 15: 2}, FromPort: 53, ToPort: 9, Hop: 7, Wire: query(5, 33)}
	four := six
	four.From, four.To = [16]byte{10: 255, 11: 255, 12: 192, 15: 1}, [16]byte{10: 255, 11: 255, 12: 192, 15: 2}
	for _, want := range []capture.Message{six, four} {
		var b bytes.Buffer
		w, _ := capture.NewWriter(&b)
		w.Write(&want)
		w.Flush()
		f, err := capture.NewFile(&b)
		if err != nil {
			t.Fatal(err)
		}
		d := capture.NewDecoder(capture.Ports(), func(m *capture.Message) {
			want.Frame = 1
			if fmt.Sprint(*m) != fmt.Sprint(want) {
				t.Errorf("%+v\nwant %+v", *m, want)
			}
		})
		var p capture.Packet
		if err := f.Next(&p); err != nil {
			t.Fatal(err)
		}
		d.Packet(&p)
		if d.Messages != 1 {
			t.Error("no message")
		}
	}
}
