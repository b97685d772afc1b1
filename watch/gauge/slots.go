package gauge

import "anyu/event"

// other is the label value of everything beyond a list.
const other = "other"

// typeNames are the types counted by name; the rest is "other". A fixed list, because a client chooses the type and
// would choose the number of our series (stops: memory and history filled by random QTYPEs).
var typeNames = [...]string{
	other, "A", "NS", "CNAME", "SOA", "PTR", "HINFO", "MX", "TXT", "AAAA", "LOC", "SRV", "NAPTR", "DNAME", "DS",
	"SSHFP", "RRSIG", "NSEC", "DNSKEY", "NSEC3", "NSEC3PARAM", "TLSA", "SMIMEA", "CDS", "CDNSKEY", "OPENPGPKEY",
	"CSYNC", "ZONEMD", "SVCB", "HTTPS", "SPF", "IXFR", "AXFR", "ANY", "URI", "CAA",
}

var typeCodes = [...]uint16{
	0, 1, 2, 5, 6, 12, 13, 15, 16, 28, 29, 33, 35, 39, 43,
	44, 46, 47, 48, 50, 51, 52, 53, 59, 60, 61,
	62, 63, 64, 65, 99, 251, 252, 255, 256, 257,
}

// rcodeNames are by number up to 11 and from 16 to 23 (shifted to 12); then "other", and "none" for no reply.
var rcodeNames = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
	"NOTZONE", "DSOTYPENI", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
	other, "none",
}

const (
	typeSlotCount  = len(typeNames)
	rcodeSlotCount = len(rcodeNames)
	rcodeNX        = 3
	rcodeOther     = rcodeSlotCount - 2
	rcodeNone      = rcodeSlotCount - 1
	transportSlots = event.Transports + 1 // the last is "other"
)

// slots finds the place of a type in typeNames.
type slots struct{ types [258]uint8 }

func newSlots() (s slots) {
	for i, code := range typeCodes {
		s.types[code] = uint8(i)
	}
	return s
}

func (s *slots) typ(q *event.Query) int {
	if int(q.Type) < len(s.types) {
		return int(s.types[q.Type])
	}
	return 0
}

func (s *slots) rcode(q *event.Query) int {
	switch r := int(q.Rcode); {
	case q.Has&event.HasReply == 0 || q.ReplySize == 0:
		return rcodeNone
	case r <= 11:
		return r
	case r >= 16 && r <= 23:
		return r - 4
	}
	return rcodeOther
}

func transportName(slot int) string { return event.Transport(slot).String() }
