package tap_test

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/tap"
)

// figures are counts by "array/first value/second value", as DSC's files have them.
type figures map[string]int

func (f figures) count(array, first string, second any) {
	f[fmt.Sprintf("%s/%s/%v", array, first, second)]++
}

// dscFigures reads the arrays of a file of DSC.
func dscFigures(t *testing.T, file []byte) figures {
	t.Helper()
	type cell struct {
		Val    string `xml:"val,attr"`
		Count  int    `xml:"count,attr"`
		Base64 int    `xml:"base64,attr"`
		Inner  []cell `xml:",any"`
	}
	var all struct {
		Arrays []struct {
			Name string `xml:"name,attr"`
			Data struct {
				Cells []cell `xml:",any"`
			} `xml:"data"`
		} `xml:"array"`
	}
	if err := xml.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	out := figures{}
	for _, a := range all.Arrays {
		for _, first := range a.Data.Cells {
			for _, second := range first.Inner {
				v := second.Val
				if second.Base64 == 1 {
					b, _ := base64.StdEncoding.DecodeString(v)
					v = string(b)
				}
				out[a.Name+"/"+first.Val+"/"+v] += second.Count
			}
		}
	}
	return out
}

// ours are DSC's figures from transactions: those that are about queries, about replies and about both. Buckets of response times are powers of ten of us.
func ours(t *testing.T, in []byte) figures {
	t.Helper()
	f := figures{}
	r := &tap.Reader{Table: tap.NewTable(func(x *tap.Transaction) {
		q := &x.Query
		name := strings.TrimSuffix(strings.ToLower(wire.Name(q.Name).String()), ".")
		labels := strings.Split(name, ".")
		proto := q.Transport.String()
		both := func() {
			f.count("qname", "ALL", name)
			f.count("qclass", "ALL", q.Class)
			f.count("label_count", "ALL", len(labels))
			f.count("server", "ALL", q.ServerAddr())
			f.count("direction_vs_ipproto", "else", proto)
			f.count("dns_ip_version", "ALL", map[bool]string{true: "IPv4", false: "IPv6"}[q.ServerAddr().Is4()])
		}
		if q.Has&event.HasQuery != 0 {
			both()
			asked(f, q, proto, name)
			f.count("tc_bit", "ALL", bit(q.QueryFlags, wire.FlagTC))
			f.count("qr_aa_bits", "else", fmt.Sprintf("qr=0,aa=%d", q.QueryFlags>>10&1))
		}
		if q.Has&event.HasReply != 0 {
			both()
			f.count("tc_bit", "ALL", bit(q.Flags, wire.FlagTC))
			f.count("qr_aa_bits", "else", fmt.Sprintf("qr=1,aa=%d", q.Flags>>10&1))
			f.count("rcode", "ALL", q.Rcode)
			f.count("rcode_vs_replylen", fmt.Sprint(q.Rcode), q.ReplySize)
			f.count("client_addr_vs_rcode", fmt.Sprint(q.Rcode), q.ClientAddr())
			f.count("second_ld_vs_rcode", fmt.Sprint(q.Rcode), strings.Join(labels[max(0, len(labels)-2):], "."))
			f.count("third_ld_vs_rcode", fmt.Sprint(q.Rcode), strings.Join(labels[max(0, len(labels)-3):], "."))
		}
		if q.Has&event.HasLatency != 0 {
			low := 1
			for us := q.Latency / 1000; us >= int64(low)*10; {
				low *= 10
			}
			f.count("response_time", "ALL", fmt.Sprintf("%d-%d", low, low*10))
		}
	})}
	if err := r.Read(bytes.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	r.Table.Close()
	return f
}

func asked(f figures, q *event.Query, proto, name string) {
	f.count("qtype", "ALL", q.Type)
	f.count("opcode", "ALL", q.Opcode())
	f.count("transport_vs_qtype", proto, q.Type)
	f.count("qtype_vs_qnamelen", fmt.Sprint(q.Type), len(name))
	low := int(q.ClientPort)&^1023 - 1024 // DSC calls each range by the one before: 59978 is in "58368-59391"
	f.count("client_port_range", "ALL", fmt.Sprintf("%d-%d", low, low+1023))
	f.count("client_subnet", "ALL", q.ClientAddr())
	bits := 24
	if q.ClientAddr().Is6() {
		bits = 96
	}
	if subnet, _ := q.ClientAddr().Prefix(bits); subnet.Addr() != q.ClientAddr() { // in some of its files the clients are masked
		f.count("client_subnet", "ALL", subnet.Addr())
	}
	f.count("rd_bit", "ALL", bit(q.QueryFlags, wire.FlagRD))
	f.count("do_bit", "ALL", map[bool]string{true: "set", false: "clr"}[q.DO])
}

func bit(flags, mask uint16) string {
	if flags&mask != 0 {
		return "set"
	}
	return "clr"
}

// The figures of DNS-OARC's DSC for its own captures come out the same.
func TestFigures_areThoseOfDSC(t *testing.T) {
	compared := 0
	for gold, capture := range map[string]string{"1458044657.xml_gold": "1458044657.pcap", "dns6.gold": "dns6.pcap", "dnso1tcp.gold": "dnso1tcp.pcap", "response_time.gold": "1458044657.pcap"} {
		got, want := ours(t, corpus(t, "oarc-dsc/"+capture)), dscFigures(t, corpus(t, "oarc-dsc/"+gold))
		for _, key := range slices.Sorted(maps.Keys(want)) {
			array, _, _ := strings.Cut(key, "/")
			if why := notOurs[array]; why != "" {
				continue
			}
			if why := explained[gold+" "+key]; why != "" {
				t.Logf("%s: %s is %d there, %d here: %s", gold, key, want[key], got[key], why)
				continue
			}
			if compared++; got[key] != want[key] {
				t.Errorf("%s: %s is %d there, %d here", gold, key, want[key], got[key])
			}
		}
	}
	if compared < 60 {
		t.Errorf("only %d figures were compared", compared)
	}
	t.Logf("%d figures compared", compared)
}

// notOurs are arrays that are not compared.
var notOurs = map[string]string{
	"client_port":             "contradicts client_port_range in the same files: 0 and 53 among the ports of clients",
	"pcap_stats":              "packets by file name: captures.tsv has the counts",
	"ip_version":              "packets below DNS",
	"chaos_types_and_names":   "a selection of others",
	"certain_qnames_vs_qtype": "a selection of others", "idn_qname": "a selection of others", "idn_vs_tld": "a selection of others", "ipv6_rsn_abusers": "a selection of others",
	"qtype_vs_tld": "a selection of others", "client_subnet2": "a selection of others", "edns_bufsiz": "in ranges of DSC's own", "edns_version": "anyu keeps no version of EDNS",
}

// explained are figures that differ, and why.
var explained = map[string]string{
	"1458044657.xml_gold second_ld_vs_rcode/0/www.google.se": "google.se is no public suffix; its list of top-level domains was another",
}

// The figures that ithitools computed from a root server's C-DNS file: opcodes, rcodes (those of queries, too), flags, duration. Its sums over opcodes and over
// rcodes are 9,777; the file has 4,916 queries and 4,860 responses, which are 9,776: one of opcode 0 and rcode 0 is not in the file.
func TestFigures_areThoseOfIthitools(t *testing.T) {
	got := figures{}
	r := &tap.Reader{Table: tap.NewTable(func(x *tap.Transaction) {
		message := func(flags, rcode uint16) {
			got[fmt.Sprintf("OpCode/%d", flags>>11&15)]++
			got[fmt.Sprintf("RCODE/%d", rcode)]++
			for number, mask := range map[int]uint16{4: wire.FlagRD, 5: wire.FlagTC, 6: wire.FlagAA} {
				if flags&mask != 0 {
					got[fmt.Sprintf("Header Flags/%d", number)]++
				}
			}
		}
		if x.Question != nil {
			message(x.QueryFlags, x.QueryFlags&15)
		}
		if x.Answer != nil {
			message(x.Flags, x.Rcode)
		}
	})}
	if err := r.Read(bytes.NewReader(corpus(t, "ithitools/data/tiny-capture.cdns"))); err != nil {
		t.Fatal(err)
	}
	got["CAPTURE_DURATION53/0"] = int(r.Table.Last-r.Table.First) / 1000
	lines, err := csv.NewReader(bytes.NewReader(corpus(t, "ithitools/data/tiny-capture.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]int{"OpCode/0": 1, "RCODE/0": 1}
	compared := 0
	for _, l := range lines {
		key := l[0] + "/" + l[2]
		if _, ok := got[key]; !ok {
			continue
		}
		if compared++; fmt.Sprint(got[key]+more[key]) != l[3] {
			t.Errorf("%s is %s there, %d here", key, l[3], got[key])
		}
	}
	if compared != 11 {
		t.Errorf("%d figures compared", compared)
	}
}
