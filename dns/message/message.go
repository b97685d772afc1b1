// Package message holds a DNS message taken apart into RRsets, as a resolver thinks of it (RFC 9499, Section 5: an RRset is all
// records of one owner, class and type; the signatures over it travel with it).
//
// It promises: Parse takes any octets, its work and memory are bounded by the octets present, and what it returns shares no
// memory with the message. It refuses to repair: a message whose names or lengths do not fit is an error, except that a record
// whose RDATA does not fit its type is left out and counted (servers.md 5.2, case 29), because one broken record of a stranger must not
// hide the good ones beside it.
//
// Limits today: records keep their order inside an RRset and RRsets the order of their first record; more is not kept.
package message

import (
	"errors"
	"fmt"

	"anyu/dns/wire"
)

// MaxRecords of a message are looked at. 65,535 octets hold about 4,600 of the shortest records; no honest answer comes near
// (CVE-2024-1737; CacheFlush).
const MaxRecords = 2048

// MaxOfRRset records of one RRset are taken; they are compared with each other. BIND takes 100 (CVE-2024-1737), the largest seen in use have some
// hundreds.
const MaxOfRRset = 500

// ErrRecords says that a message has more than MaxRecords.
var ErrRecords = errors.New("too many records")

// Question is what is asked. The zero Question asks for nothing.
type Question struct {
	Name  wire.Name
	Type  wire.Type
	Class wire.Class
}

func (q Question) String() string {
	return fmt.Sprintf("%s %s", q.Name, q.Type)
}

// Equal compares two questions, names without regard to case (RFC 4343).
func (q Question) Equal(r Question) bool {
	return q.Type == r.Type && q.Class == r.Class && q.Name.Equal(r.Name)
}

// Option is an EDNS option (RFC 6891, Section 6.1.2).
type Option struct {
	Code uint16
	Data []byte
}

// EDNS is what an OPT record says.
type EDNS struct {
	Present bool
	Version uint8
	Payload uint16
	DO      bool
	Options []Option
}

// MaxOptions of an OPT record are kept, the first ones (CVE-2026-41292: thousands of options).
const MaxOptions = 20

// Option returns the first option of a code.
func (e *EDNS) Option(code uint16) ([]byte, bool) {
	for _, o := range e.Options {
		if o.Code == code {
			return o.Data, true
		}
	}
	return nil, false
}

// Message is a message taken apart.
type Message struct {
	ID    uint16
	Flags uint16 // the second 16 bits of the header with opcode and the low bits of the RCODE, as wire.Header.Flags
	// Rcode is the extended one: the header's bits with those of OPT (RFC 6891, Section 6.1.3).
	Rcode      wire.Rcode
	Questions  int      // QDCOUNT
	Question   Question // the first
	Answer     []*RRset
	Authority  []*RRset
	Additional []*RRset // without OPT and TSIG
	EDNS       EDNS
	Dropped    int // records left out because their RDATA does not fit their type
	Size       int // octets it was parsed from
}

// Has tells whether a flag of the header is set (wire.FlagAA ...).
func (m *Message) Has(flag uint16) bool { return m.Flags&flag != 0 }

// Opcode of the header.
func (m *Message) Opcode() wire.Opcode { return wire.Opcode(m.Flags >> 11 & 15) }

// Sections returns answer, authority and additional, for loops over all.
func (m *Message) Sections() [3][]*RRset {
	return [3][]*RRset{m.Answer, m.Authority, m.Additional}
}

// Find returns the RRset of an owner and type in a section, or nil.
func Find(section []*RRset, owner wire.Name, t wire.Type) *RRset {
	for _, s := range section {
		if s.Type == t && s.Name.Equal(owner) {
			return s
		}
	}
	return nil
}

// Copy returns a message whose sections may be changed; the RRsets are shared.
func (m *Message) Copy() *Message {
	c := *m
	c.Answer = append([]*RRset(nil), m.Answer...)
	c.Authority = append([]*RRset(nil), m.Authority...)
	c.Additional = append([]*RRset(nil), m.Additional...)
	return &c
}
