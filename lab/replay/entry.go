package replay

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"anyu/dns/wire"
)

// entryReader is an entry while it is read.
type entryReader struct {
	*parser
	e       *Entry
	section int
	l       lineage
}

// entry reads from the line after ENTRY_BEGIN to ENTRY_END.
func (p *parser) entry() (*Entry, error) {
	r := &entryReader{parser: p, e: &Entry{Line: p.at, Packets: make([]Packet, 1)}}
	for {
		line, ok := p.line()
		if !ok {
			return nil, p.wrong("the file ends inside an entry")
		}
		if line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "ENTRY_END") {
			return r.e, r.end()
		}
		if err := r.directive(line); err != nil {
			return nil, err
		}
	}
}

func (r *entryReader) packet() *Packet { return &r.e.Packets[len(r.e.Packets)-1] }

func (r *entryReader) directive(line string) error {
	rest := func(keyword string) []string { return words(line[len(keyword):]) }
	switch {
	case strings.HasPrefix(line, "MATCH"):
		return r.each(rest("MATCH"), r.match)
	case strings.HasPrefix(line, "REPLY"):
		return r.each(rest("REPLY"), r.reply)
	case strings.HasPrefix(line, "FLAGS") && r.s.Dialect == Deckard:
		return r.each(rest("FLAGS"), r.reply)
	case strings.HasPrefix(line, "ADJUST"):
		return r.each(rest("ADJUST"), r.adjust)
	case strings.HasPrefix(line, "SECTION"):
		return r.sectionLine(rest("SECTION"))
	case strings.HasPrefix(line, "$ORIGIN"):
		return r.origin(rest("$ORIGIN"))
	case strings.HasPrefix(line, "$TTL"):
		if w := rest("$TTL"); len(w) > 0 {
			r.l.ttl = w[0]
			return nil
		}
		return r.wrong("$TTL needs a number")
	}
	if r.s.Dialect == Deckard {
		return r.deckardLine(line)
	}
	switch {
	case strings.HasPrefix(line, "EXTRA_PACKET"):
		r.e.Packets = append(r.e.Packets, Packet{})
		r.section = 0
		return nil
	case strings.HasPrefix(line, "HEX_ANSWER_BEGIN"):
		b, err := r.hexBlock("HEX_ANSWER_END")
		r.packet().Message.Raw = b
		return err
	case strings.HasPrefix(line, "HEX_EDNSDATA_BEGIN"):
		b, err := r.hexBlock("HEX_EDNSDATA_END")
		r.opt().Data = b
		return err
	}
	return r.record(line)
}

func (r *entryReader) deckardLine(line string) error {
	switch {
	case strings.HasPrefix(line, "MANDATORY"):
		r.e.Mandatory = true
	case strings.HasPrefix(line, "TSIG"):
		r.e.TSIG = true
	case strings.HasPrefix(line, "RAW"):
		text, ok := r.line()
		b, err := hex.DecodeString(text)
		if !ok || err != nil {
			return r.wrong("RAW needs a line of hex: %v", err)
		}
		r.e.RawQuery = b
	default:
		return r.record(line)
	}
	return nil
}

func (r *entryReader) each(list []string, read func(string) bool) error {
	for _, w := range list {
		if !read(w) {
			return r.wrong("%q is no word that may stand here", w)
		}
	}
	return nil
}

func (r *entryReader) sectionLine(w []string) error {
	if len(w) > 0 {
		for i, name := range sectionNames {
			if strings.EqualFold(name, w[0]) {
				r.section = i
				return nil
			}
		}
	}
	return r.wrong("SECTION needs QUESTION, ANSWER, AUTHORITY or ADDITIONAL")
}

func (r *entryReader) origin(w []string) error {
	if len(w) == 0 {
		return r.wrong("$ORIGIN needs a name")
	}
	n, err := parseName(w[0], r.l.origin)
	if err != nil {
		return r.wrong("$ORIGIN: %v", err)
	}
	r.l.origin = n.String()
	return nil
}

func (r *entryReader) record(line string) error {
	read := parseRecord
	if r.section == 0 {
		read = parseQuestion
	}
	record, err := read(line, r.l)
	if err != nil {
		return r.wrong("%v in %q", err, line)
	}
	list := &r.packet().Message.Records[r.section]
	*list = append(*list, record)
	return nil
}

// hexBlock reads hex until a line that begins with end. Blanks are ignored, `;` begins a comment, an odd digit is padded with 0.
func (r *entryReader) hexBlock(end string) ([]byte, error) {
	var digits strings.Builder
	for r.at < len(r.lines) {
		line := strings.TrimSpace(r.lines[r.at])
		r.at++
		if strings.HasPrefix(line, end) {
			text := digits.String()
			if len(text)%2 == 1 {
				text += "0"
			}
			b, err := hex.DecodeString(text)
			if err != nil {
				return nil, r.wrong("reading hex: %v", err)
			}
			return b, nil
		}
		line, _, _ = strings.Cut(line, ";")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	return nil, r.wrong("the file ends before %s", end)
}

// testPayload is the size that testbound's OPT records name, queryPayload the one of Deckard's clients.
const (
	testPayload  = 1232
	queryPayload = 4096
)

// opt is the OPT record of the packet, made when it is not there.
func (r *entryReader) opt() *OPT {
	m := &r.packet().Message
	if m.OPT == nil {
		m.OPT = &OPT{Payload: testPayload}
	}
	return m.OPT
}

func (r *entryReader) end() error {
	if r.s.Dialect == Deckard && r.e.Match&MatchAll != 0 {
		// Deckard's `all` is a list of words, and EDNS is not among them.
		r.e.Match = r.e.Match&^MatchAll | MatchOpcode | MatchQType | MatchQName | MatchFlags | MatchRcode | MatchAnswer | MatchAuthority | MatchAdditional
	}
	if r.s.Dialect == Deckard && r.e.Match&MatchQuestion != 0 {
		r.e.Match = r.e.Match&^MatchQuestion | MatchQName | MatchQType
	}
	return nil
}

var matchWords = map[string]Words{"opcode": MatchOpcode, "rcode": MatchRcode, "qtype": MatchQType, "qname": MatchQName,
	"subdomain": MatchSubdomain, "question": MatchQuestion, "answer": MatchAnswer, "all": MatchAll}

var unboundWords = map[string]Words{"all_noedns": MatchAllNoEDNS, "ttl": MatchTTL, "DO": MatchDO, "CO": MatchCO, "noedns": MatchNoEDNS,
	"ednsdata": MatchEDNSData, "UDP": MatchUDP, "TCP": MatchTCP, "client_cookie": MatchClientCookie, "server_cookie": MatchServerCookie}

var deckardWords = map[string]Words{"qcase": MatchQCase, "flags": MatchFlags, "authority": MatchAuthority, "additional": MatchAdditional,
	"edns": MatchEDNS}

func (r *entryReader) match(w string) bool {
	if bit, ok := matchWords[w]; ok {
		r.e.Match |= bit
		return true
	}
	if r.s.Dialect == Deckard {
		bit, ok := deckardWords[w]
		r.e.Match |= bit
		return ok
	}
	if bit, ok := unboundWords[w]; ok {
		r.e.Match |= bit
		return true
	}
	i := strings.IndexAny(w, "=:")
	if i < 0 {
		return false
	}
	value := w[i+1:]
	switch w[:i] {
	case "serial":
		n, err := strconv.ParseUint(value, 10, 32)
		r.e.Match, r.e.Serial = r.e.Match|MatchSerial, uint32(n)
		return err == nil
	case "ede":
		r.e.Match, r.e.EDE = r.e.Match|MatchEDE, -1
		if value == "any" {
			return true
		}
		n, err := strconv.ParseUint(value, 10, 16)
		r.e.EDE = int(n)
		return err == nil
	}
	return false
}

func (r *entryReader) adjust(w string) bool {
	a := &r.e.Adjust
	name, value, _ := strings.Cut(w, "=")
	switch {
	case name == "copy_id":
		a.CopyID = true
	case name == "copy_query":
		a.CopyQuery = true
	case r.s.Dialect == Deckard && name == "raw_id":
		a.RawID = true
	case r.s.Dialect == Deckard && name == "do_not_answer":
		a.Silent = true
	case r.s.Dialect == Deckard:
		return false
	case name == "copy_ednsdata_assume_clientsubnet":
		a.ECSAssume = true
	case name == "increment_ecs_scope":
		a.ECSIncrement = true
	case name == "sleep":
		return seconds(value, &a.Sleep)
	case name == "packet_sleep":
		return seconds(value, &r.packet().Sleep)
	default:
		return false
	}
	return true
}

func seconds(text string, to *time.Duration) bool {
	n, err := strconv.Atoi(text)
	*to = time.Duration(n) * time.Second
	return err == nil
}

var replyFlags = map[string]uint16{"QR": wire.FlagQR, "AA": wire.FlagAA, "TC": wire.FlagTC, "RD": wire.FlagRD, "CD": wire.FlagCD,
	"RA": wire.FlagRA, "AD": wire.FlagAD}

var replyOpcodes = map[string]uint16{"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}

var replyRcodes = map[string]uint16{"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMPL": 4, "REFUSED": 5, "YXDOMAIN": 6,
	"YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10}

var deckardRcodes = map[string]uint16{"NOTIMP": 4, "BADVERS": 16, "BADSIG": 16, "BADKEY": 17, "BADTIME": 18, "BADMODE": 19, "BADNAME": 20,
	"BADALG": 21, "BADTRUNC": 22, "BADCOOKIE": 23}

func (r *entryReader) reply(w string) bool {
	m := &r.packet().Message
	if bit, ok := replyFlags[w]; ok {
		m.Flags |= bit
		return true
	}
	if n, ok := replyOpcodes[w]; ok {
		m.Flags = m.Flags&^0x7800 | n<<11
		return true
	}
	if n, ok := replyRcodes[w]; ok {
		m.Flags = m.Flags&^15 | n
		return true
	}
	if n, ok := deckardRcodes[w]; ok && r.s.Dialect == Deckard {
		m.Flags = m.Flags&^15 | n&15
		if n > 15 {
			r.opt().Rcode = uint8(n >> 4)
		}
		return true
	}
	switch w {
	case "DO":
		r.opt().Flags |= flagDO
	case "CO":
		r.opt().Flags |= flagCO
	default:
		return false
	}
	return true
}
