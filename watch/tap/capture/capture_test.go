package capture_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"anyu/house/corpora"
	"anyu/watch/tap/capture"
)

// decoded is everything that a file gave.
type decoded struct {
	*capture.Decoder
	file     *capture.File
	messages []string // "from>to id"
	errors   []string
}

func decode(t testing.TB, in io.Reader) *decoded {
	t.Helper()
	d := &decoded{}
	d.Decoder = capture.NewDecoder(capture.Ports(), func(m *capture.Message) {
		d.messages = append(d.messages, fmt.Sprintf("%v>%v %x", at(m.From, m.FromPort), at(m.To, m.ToPort), m.Wire[:2]))
	})
	var err error
	if d.file, err = capture.NewFile(in); err != nil {
		d.errors = append(d.errors, err.Error())
		return d
	}
	for {
		var p capture.Packet
		err := d.file.Next(&p)
		var breach *capture.Error
		switch {
		case err == io.EOF:
			d.Close()
			return d
		case errors.As(err, &breach):
			d.errors = append(d.errors, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			d.Packet(&p)
		}
	}
}

func at(a [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
}

// plain opens a capture of the corpora.
func plain(t testing.TB, path string) io.Reader {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte{0x1F, 0x8B}) {
		return bytes.NewReader(b)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// morePorts are the captures where this package finds more packets of DNS's ports than captures.tsv: its counter does not look behind VLAN tags and the
// fragment header of IPv6.
var morePorts = map[string]uint64{
	"arkime/dns-dnskey.pcap":                                 1,
	"arkime/dns-flags0110.pcap":                              2,
	"arkime/dns-update.pcap":                                 2,
	"oarc-dnscap/vlan11.pcap":                                82,
	"suricata-verify/datasets-04-http-dns/input.pcap":        1,
	"suricata-verify/dns/dns-dcerpc-reversed/input.pcap":     2,
	"zeek/dns/loc-29-trunc.pcap":                             2,
	"go-dnscollector/pcap/dnsdump_ip6_fragmented_query.pcap": 1,
	"ndpi/dns_fragmented.pcap":                               59,
}

// messages are counts known from elsewhere: from the names and descriptions of the captures, and from tcpdump's print-outs beside them.
var messages = map[string]uint64{
	"tcpdump/dns_tcp.pcap":                                               2,
	"tcpdump/edns-opts.pcap":                                             42,
	"oarc-dnsjit/pellets.pcap":                                           91,
	"oarc-dnscap/ipv6-with-ethernet-padding.pcap":                        1,
	"sidn-entrada2/sidnlabs-test-multiple-dns-in-single-tcp-stream.pcap": 4,
	"sidn-entrada2/sidnlabs-test-ip-1-dns-response-2-ip-fragments.pcap":  1,
	"go-dnscollector/pcap/dnsdump_ip4_fragmented_query.pcap":             2,
	"go-dnscollector/pcap/dnsdump_udp_truncated+tcp_fragmented.pcap":     4,
	"oarc-dsc/dnso1tcp.pcap":                                             82,
	"sidn-entrada2/sidnlabs-test-tcp-all-malformed-packets.dups.pcap":    0,
}

// Every capture of the corpora has as many packets, and packets of DNS's ports, as captures.tsv says.
func TestDecoder_countsPacketsAsTheCorporaSay(t *testing.T) {
	dir := corpora.Path(t, "pcap")
	list, err := os.ReadFile(filepath.Join(dir, "captures.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")[1:]
	if len(lines) < 100 {
		t.Fatalf("only %d captures", len(lines))
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		d := decode(t, plain(t, filepath.Join(dir, f[0])))
		format, _, _ := strings.Cut(f[1], " ")
		packets, _ := strconv.ParseUint(f[2], 10, 64)
		ports, _ := strconv.ParseUint(f[3], 10, 64)
		if more, ok := morePorts[f[0]]; ok {
			ports = more
		}
		if len(d.errors) > 0 || d.file.Format() != format || d.Packets != packets || d.DNSPorts != ports {
			t.Errorf("%s: %s, %d packets, %d of DNS's ports, %v; want %s %d %d", f[0], d.file.Format(), d.Packets, d.DNSPorts, d.errors, format, packets, ports)
		}
		if want, ok := messages[f[0]]; ok && d.Messages != want {
			t.Errorf("%s: %d messages, want %d", f[0], d.Messages, want)
		}
		if d.Messages == 0 && d.Reasons == ([len(d.Reasons)]uint64{}) {
			t.Errorf("%s: nothing was read and no reason told", f[0])
		}
	}
}
