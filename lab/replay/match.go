package replay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"anyu/dns/wire"
)

// matcher compares messages that were seen with entries.
type matcher struct {
	dialect Dialect
	payload uint16 // the size an OPT record must name; 0: any
	strict  bool   // records in their order too
}

// differences between a message and what an entry wants; none means that it matches. tcp is how the message came.
func (m matcher) differences(e *Entry, got *Message, tcp bool) []string {
	d := &comparison{matcher: m, e: e, want: e.message(), got: got, tcp: tcp}
	if got.Odd != nil && e.Match != 0 {
		d.add("the message does not fit: %v", got.Odd)
	}
	if m.dialect == Unbound {
		d.cutOptions()
	}
	d.header()
	d.questions()
	d.sections()
	d.edns()
	return d.list
}

// matches tells only whether.
func (m matcher) matches(e *Entry, got *Message, tcp bool) bool {
	return len(m.differences(e, got, tcp)) == 0
}

type comparison struct {
	matcher
	e         *Entry
	want, got *Message
	tcp       bool
	list      []string
}

func (d *comparison) has(w Words) bool { return d.e.Match&w != 0 }

func (d *comparison) add(format string, args ...any) {
	d.list = append(d.list, fmt.Sprintf(format, args...))
}

// cutOptions looks for the options that words of Unbound name and takes them out before anything else is compared.
func (d *comparison) cutOptions() {
	if !d.has(MatchEDE | MatchClientCookie | MatchServerCookie) {
		return
	}
	var codes []string
	found, cookie := false, -1
	if d.got.OPT != nil {
		for _, o := range d.got.OPT.options() {
			switch {
			case o.code == optionEDE && len(o.data) >= 2:
				code := int(binary.BigEndian.Uint16(o.data))
				codes = append(codes, fmt.Sprint(code))
				found = found || d.e.EDE < 0 || code == d.e.EDE
			case o.code == optionCookie:
				cookie = len(o.data)
			}
		}
	}
	cut := d.got.Copy()
	if d.has(MatchEDE) {
		if !found {
			d.add("EDE %s, want %s", orNone(strings.Join(codes, " ")), strings.Replace(fmt.Sprint(d.e.EDE), "-1", "any", 1))
		}
		if cut.OPT != nil {
			cut.OPT = cut.OPT.without(optionEDE)
		}
	}
	for _, c := range []struct {
		word Words
		size int
	}{{MatchClientCookie, 8}, {MatchServerCookie, 24}} {
		if !d.has(c.word) {
			continue
		}
		if cookie != c.size {
			d.add("cookie of %d octets, want %d", cookie, c.size)
		}
		if cut.OPT != nil {
			cut.OPT = cut.OPT.without(optionCookie)
		}
	}
	d.got = cut
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

const matchWhole = MatchAll | MatchAllNoEDNS

func (d *comparison) header() {
	if d.has(MatchOpcode|matchWhole) && d.got.opcode() != d.want.opcode() {
		d.add("opcode %s, want %s", opcodeText(d.got.opcode()), opcodeText(d.want.opcode()))
	}
	if d.has(MatchRcode | matchWhole) {
		got, want := d.got.Flags&15, d.want.Flags&15
		if d.dialect == Deckard {
			got, want = d.got.rcode(), d.want.rcode()
		}
		if got != want {
			d.add("rcode %s, want %s", rcodeText(got), rcodeText(want))
		}
	}
	if d.has(MatchFlags | matchWhole) {
		const all = wire.FlagQR | wire.FlagAA | wire.FlagTC | wire.FlagRD | wire.FlagRA | wire.FlagAD | wire.FlagCD
		if got, want := d.got.Flags&all, d.want.Flags&all; got != want {
			d.add("flags %q, want %q", flagText(got), flagText(want))
		}
	}
	if d.has(MatchUDP) && d.tcp || d.has(MatchTCP) && !d.tcp {
		d.add("the transport is tcp: %v", d.tcp)
	}
}

// first is the first question, or one for nothing.
func first(m *Message) Record {
	if len(m.Records[0]) == 0 {
		return Record{}
	}
	return m.Records[0][0]
}

func (d *comparison) questions() {
	got, want := first(d.got), first(d.want)
	has := len(d.got.Records[0]) > 0
	if d.has(MatchQType) && (!has || got.Type != want.Type) {
		d.add("qtype %s, want %s", typeText(got.Type), typeText(want.Type))
	}
	switch {
	case d.has(MatchQCase) && string(got.Name) != string(want.Name),
		d.has(MatchQName) && (!has || !got.Name.Equal(want.Name)):
		d.add("qname %s, want %s", nameText(got.Name), nameText(want.Name))
	case d.has(MatchSubdomain) && (!has || len(want.Name) == 0 || !got.Name.IsSubdomainOf(want.Name)):
		d.add("qname %s is not below %s", nameText(got.Name), nameText(want.Name))
	}
	if d.has(MatchQuestion | matchWhole) {
		d.section(0)
	}
}

func nameText(n wire.Name) string {
	if len(n) == 0 {
		return "(none)"
	}
	return n.String()
}

func (d *comparison) sections() {
	if d.has(MatchAnswer | matchWhole) {
		d.section(1)
	}
	if d.has(MatchAuthority | matchWhole) {
		d.section(2)
	}
	if d.has(MatchAdditional | matchWhole) {
		d.section(3)
	}
	if d.has(MatchSerial) {
		d.serial()
	}
}

// section compares one section as a multiset of records; TTLs only where the entry says so.
func (d *comparison) section(i int) {
	got, want := d.keys(d.got.Records[i]), d.keys(d.want.Records[i])
	if d.strict && !slices.Equal(got, want) {
		d.add("%s section: order or records differ", sectionNames[i])
		return
	}
	missing, extra := subtract(want, got), subtract(got, want)
	var text []string
	for _, n := range missing {
		text = append(text, "missing "+recordText(i, d.want.Records[i][n]))
	}
	for _, n := range extra {
		text = append(text, "not expected "+recordText(i, d.got.Records[i][n]))
	}
	if len(text) > 0 {
		d.add("%s section: %s", sectionNames[i], strings.Join(text, "; "))
	}
}

func recordText(section int, r Record) string {
	if section == 0 {
		return questionText(r)
	}
	s := r.String()
	if len(s) > 160 {
		s = s[:160] + "..."
	}
	return s
}

func (d *comparison) keys(list []Record) []string {
	keys := make([]string, len(list))
	for i, r := range list {
		keys[i] = r.key(d.has(MatchTTL))
	}
	return keys
}

// subtract gives the indexes of what a has more than b: a record that stands twice on one side only is a difference.
func subtract(a, b []string) []int {
	count := make(map[string]int)
	for _, k := range b {
		count[k]++
	}
	var list []int
	for i, k := range a {
		if count[k] == 0 {
			list = append(list, i)
			continue
		}
		count[k]--
	}
	return list
}

// serial compares the serial of the SOA record an IXFR query carries (RFC 1995, Section 3).
func (d *comparison) serial() {
	for _, r := range d.got.Records[2] {
		if n := len(r.RData); r.Type == wire.TypeSOA && n >= 20 {
			if got := binary.BigEndian.Uint32(r.RData[n-20:]); got != d.e.Serial {
				d.add("serial %d, want %d", got, d.e.Serial)
			}
			return
		}
	}
	d.add("no SOA record in the authority section, want serial %d", d.e.Serial)
}

func (d *comparison) edns() {
	got, want := d.got.OPT, d.want.OPT
	if d.has(MatchDO) && (got == nil || got.Flags&flagDO == 0) {
		d.add("DO is not set")
	}
	if d.has(MatchCO) && (got == nil || got.Flags&flagCO == 0) {
		d.add("CO is not set")
	}
	if d.has(MatchNoEDNS) && got != nil {
		d.add("there is an OPT record")
	}
	if d.has(MatchEDNSData) && !bytes.Equal(optData(got), optData(want)) {
		d.add("EDNS data %x, want %x", optData(got), optData(want))
	}
	if d.has(MatchAll) || d.has(MatchEDNS) {
		d.opt(got, want)
	}
}

func optData(o *OPT) []byte {
	if o == nil {
		return nil
	}
	return o.Data
}

// opt compares version, flags, options, and the size where the run says so.
func (d *comparison) opt(got, want *OPT) {
	switch {
	case got == nil && want == nil:
		return
	case got == nil:
		d.add("no OPT record, want %s", want)
		return
	case want == nil:
		d.add("OPT record not expected: %s", got)
		return
	}
	const bits = flagDO | flagCO
	if got.Version != want.Version || got.Flags&bits != want.Flags&bits || !bytes.Equal(got.Data, want.Data) ||
		d.payload != 0 && got.Payload != d.payload {
		d.add("OPT %s, want %s", got, want)
	}
}
