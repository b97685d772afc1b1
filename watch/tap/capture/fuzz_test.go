package capture_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"anyu/house/corpora"
	"anyu/watch/tap/capture"
)

// No file makes the reader panic, loop or hand out more than there is.
func FuzzFile(f *testing.F) {
	dir := corpora.Path(f, "pcap")
	for _, name := range []string{"tcpdump/dns_udp.pcap", "chrissanders/dns_tcp.pcapng", "ndpi/dns_invert_query.pcapng"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		file, err := capture.NewFile(bytes.NewReader(in))
		if err != nil {
			return
		}
		d := capture.NewDecoder(capture.Ports(), func(*capture.Message) {})
		for steps := 0; ; steps++ {
			if steps > len(in)+1 {
				t.Fatalf("%d steps for %d octets", steps, len(in))
			}
			var p capture.Packet
			var breach *capture.Error
			if err := file.Next(&p); errors.As(err, &breach) {
				continue
			} else if err != nil {
				break
			}
			d.Packet(&p)
		}
		d.Close()
		if file.Read() > int64(len(in)) {
			t.Errorf("read %d of %d", file.Read(), len(in))
		}
	})
}

// No packets make the decoder panic or keep anything at its end. The input is a link layer, then packets with their length before them.
func FuzzPackets(f *testing.F) {
	add := func(packets ...[]byte) {
		in := []byte{byte(capture.LinkRaw)}
		for _, p := range packets {
			in = append(append(in, byte(len(p)>>8), byte(len(p))), p...)
		}
		f.Add(in)
	}
	add(segment(1, 2, nil), segment(2, 0x18, framed(query(1, 30))), segment(60, 0x18, framed(query(1, 30))))
	add(fragments(false, 7, 3000, 1480)...)
	add(fragments(true, 7, 3000, 1480)...)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		d := capture.NewDecoder(capture.Ports(), func(m *capture.Message) {
			if len(m.Wire) < 12 || len(m.Wire) > 65535 {
				t.Errorf("a message of %d octets", len(m.Wire))
			}
		})
		link := capture.Link(in[0])
		for r, i := bytes.NewReader(in[1:]), int64(0); ; i++ {
			var length [2]byte
			if _, err := io.ReadFull(r, length[:]); err != nil {
				break
			}
			b := make([]byte, int(length[0])<<8|int(length[1]))
			n, _ := io.ReadFull(r, b)
			d.Packet(&capture.Packet{Time: i * 1e8, Link: link, Length: len(b), Data: b[:n]})
		}
		d.Close()
		if streams, octets := d.Held(); streams != 0 || octets != 0 {
			t.Errorf("%d streams, %d octets are kept", streams, octets)
		}
	})
}

// A real capture of an authoritative server, 21,804 packets.
func BenchmarkDecoder(b *testing.B) {
	all, err := io.ReadAll(plain(b, corpora.Path(b, "pcap", "compactor", "nsd-live.raw.pcap.gz")))
	if err != nil {
		b.Fatal(err)
	}
	packets := 0
	b.ReportAllocs()
	for b.Loop() {
		f, err := capture.NewFile(bytes.NewReader(all))
		if err != nil {
			b.Fatal(err)
		}
		d := capture.NewDecoder(capture.Ports(), func(*capture.Message) {})
		var p capture.Packet
		for f.Next(&p) == nil {
			d.Packet(&p)
			packets++
		}
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
}
