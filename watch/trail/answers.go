package trail

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

const (
	// maxAnswers and maxAnswerText bound what a row keeps of a reply (stops: a reply whose compressed names unfold to a thousand times its size).
	maxAnswers    = 32
	maxAnswerText = 2048
)

// answers is what the answer section of a reply said, as far as its copy shows it.
type answers struct {
	texts   []string // "OWNER TYPE RDATA", names in lower case
	ips     []string // of A and AAAA records of class IN, each once
	ttl     uint32   // the smallest
	leftOut int      // records that texts has not; signatures are not counted where they are seen
}

// answerReader takes replies apart. It keeps buffers, and the texts of the last reply: rows of one name follow each other in a segment, and most were told the same.
type answerReader struct {
	msg, rdata, text []byte
	ends             []int
	parser           wire.Parser

	whole struct { // the last that was read, in octets, and what it says
		reply      []byte
		name       []byte
		typ, class uint16
		state      byte
		answers    uint16
		out        answers
	}
	last struct {
		text      string
		ends      []int
		texts     []string
		addresses []netip.Addr
		ips       []string
	}
}

// read reads the answers of a packed row; false where no reply was seen.
func (a *answerReader) read(q *packed) (out answers, ok bool) {
	switch {
	case q.state == replyUnseen:
		return out, false
	case q.answers == 0:
		return out, true
	}
	w := &a.whole
	if w.state == q.state && w.answers == q.answers && w.typ == q.Type && w.class == q.Class && string(w.reply) == string(q.reply) && string(w.name) == string(q.Name) {
		return w.out, true
	}
	w.state, w.answers, w.typ, w.class = q.state, q.answers, q.Type, q.Class
	w.reply, w.name = append(w.reply[:0], q.reply...), append(w.name[:0], q.Name...)
	msg := q.reply
	if q.state == replyTail { // put the header and the question before it again, so that names can point to them
		a.msg = append(a.msg[:0], 0, 0, 0, 0, 0, 1, byte(q.answers>>8), byte(q.answers), 0, 0, 0, 0)
		a.msg = append(a.msg, q.Name...)
		a.msg = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(a.msg, q.Type), q.Class)
		a.msg = append(a.msg, q.reply...)
		msg = a.msg
	}
	w.out = a.parse(msg, wire.Class(q.Class))
	return w.out, true
}

// parse reads the answer section of msg, which may end anywhere and say anything.
func (a *answerReader) parse(msg []byte, class wire.Class) (out answers) {
	h, err := a.parser.Start(msg)
	if err != nil {
		return out
	}
	out.leftOut = int(h.AN)
	a.text, a.ends = a.text[:0], a.ends[:0]
	for a.parser.Section() == wire.Questions {
		if _, err := a.parser.Question(); err != nil {
			return out
		}
	}
	var ips [maxAnswers]netip.Addr
	addresses := ips[:0]
	for a.parser.Section() == wire.Answers {
		rr, err := a.parser.RR()
		if err != nil {
			break // the copy ends here, or the reply is broken
		}
		if rr.Type == wire.TypeRRSIG {
			out.leftOut--
			continue
		}
		if len(a.ends) == maxAnswers || rr.Class != class && (class != wire.ClassANY || rr.Class != wire.ClassIN) || !a.record(&rr, msg) {
			continue
		}
		out.leftOut--
		if len(a.ends) == 1 || rr.TTL < out.ttl {
			out.ttl = rr.TTL
		}
		if addr, ok := addressOf(&rr, a.rdata); ok {
			addresses = appendOnce(addresses, addr)
		}
	}
	if out.ttl > 1<<31-1 {
		out.ttl = 0 // RFC 2181, Section 8: a TTL with the highest bit set is zero
	}
	out.texts, out.ips = a.texts(), a.ips(addresses)
	return out
}

// record appends the text of a record; false where it has none, or there is no room for it.
func (a *answerReader) record(rr *wire.RR, msg []byte) bool {
	var err error
	if a.rdata, err = wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), a.rdata[:0]); err != nil {
		return false
	}
	wire.RDataNames(rr.Type, a.rdata, func(start, end int) {
		for i := start; i < end; i++ {
			a.rdata[i] = wire.Lower(a.rdata[i]) // lengths of labels are below 64 and no letters
		}
	})
	begin := len(a.text)
	a.text = wire.Name(rr.Name).AppendText(a.text)
	for i := begin; i < len(a.text); i++ {
		a.text[i] = wire.Lower(a.text[i])
	}
	a.text = append(append(append(a.text, ' '), rr.Type.String()...), ' ')
	a.text = zone.AppendRDataText(a.text, rr.Type, a.rdata, rr.Class)
	if len(a.text) > maxAnswerText {
		a.text = a.text[:begin]
		return false
	}
	a.ends = append(a.ends, len(a.text))
	return true
}

// texts cuts the text into those of the records.
func (a *answerReader) texts() []string {
	if len(a.ends) == 0 {
		return nil
	}
	if l := &a.last; l.text != string(a.text) || !slices.Equal(l.ends, a.ends) {
		l.text, l.ends, l.texts = string(a.text), append(l.ends[:0], a.ends...), make([]string, len(a.ends))
		for i, begin := 0, 0; i < len(a.ends); i++ {
			l.texts[i], begin = l.text[begin:a.ends[i]], a.ends[i]
		}
	}
	return a.last.texts
}

// ips are the texts of addresses.
func (a *answerReader) ips(addresses []netip.Addr) []string {
	if len(addresses) == 0 {
		return nil
	}
	if l := &a.last; !slices.Equal(l.addresses, addresses) {
		l.addresses, l.ips = append(l.addresses[:0], addresses...), make([]string, len(addresses))
		for i, addr := range addresses {
			l.ips[i] = addr.String()
		}
	}
	return a.last.ips
}

func addressOf(rr *wire.RR, rdata []byte) (netip.Addr, bool) {
	if rr.Class != wire.ClassIN || rr.Type != wire.TypeA && rr.Type != wire.TypeAAAA {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(rdata)
}

func appendOnce(list []netip.Addr, addr netip.Addr) []netip.Addr {
	for _, a := range list {
		if a == addr {
			return list
		}
	}
	return append(list, addr)
}
