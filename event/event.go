// Package event is the spine: the words in which the rooms of anyu speak to each other.
//
// A Query is an observation: one question and what became of it, whoever answered it. A Finding is what a
// detector or a machine of ours concludes from observations. Rooms never import each other; they meet here.
//
// The package promises: a Query goes through a Ring without waiting, and without allocation but for the blocks that it needs for the first time; what does not fit
// is counted, never silently lost. It refuses to interpret: success, baselines and severity rules live in watch.
// Limits today: Incident and Action are not written yet, they come with the room act.
package event

import (
	"net/netip"
	"time"
)

// Known is a mask of the fields of a Query that are facts. A field whose bit is clear is unknown and must be shown as
// unknown, never as zero: the dnstap of other servers lacks times, addresses or the reply.
type Known uint32

const (
	HasClient Known = 1 << iota
	HasServer
	HasTime
	HasLatency
	HasQuery // the question message: QueryFlags, QuerySize, EDNS
	HasReply // the reply message: Flags, Rcode, ReplySize
	HasZone
	HasReason
	HasUpstream // Upstream, UpstreamPort, UpstreamOver: the server whose answer was used. Unknown where the answer was here already
	HasAsked    // Asked, AskedTime: what was asked of servers for this answer. Unknown where the answer was here already
	HasSubnet   // Subnet, SubnetBits: the question carried a client subnet (RFC 7871)
	HasPolicy   // Policy, NoPolicy included
	TimeOfReply // Time is that of the reply, from a server or capture that did not show the question's
)

// Transport is how the question travelled.
type Transport uint8

const (
	UDP Transport = iota
	TCP
	TLS
	HTTPS
	QUIC
	Transports = 5
)

var transportNames = [Transports]string{"udp", "tcp", "tls", "https", "quic"}

func (t Transport) String() string {
	if int(t) < len(transportNames) {
		return transportNames[t]
	}
	return "other"
}

// Encrypted tells whether the transport hides the message from the path (padding applies, RFC 8467).
func (t Transport) Encrypted() bool { return t == TLS || t == HTTPS || t == QUIC }

// From says which part of the server made the answer.
type From uint8

const (
	FromUnknown   From = iota
	FromAuthority      // a zone of ours, slow path
	FromCompiled       // a zone of ours, compiled answer
	FromLocal          // empty and special zones, CHAOS identity
	FromPolicy         // refused, limited or dropped by a filter
	FromCache
	FromRecursion
	FromForward
	FromStale
	FromTransfer
	FromError // malformed or not understood
)

var fromNames = [...]string{"unknown", "authority", "compiled", "local", "policy", "cache", "recursion", "forward", "stale", "transfer", "error"}

func (f From) String() string {
	if int(f) < len(fromNames) {
		return fromNames[f]
	}
	return "unknown"
}

// Clock says where a latency comes from.
type Clock uint8

const (
	ClockNone   Clock = iota
	ClockSelf         // from the return of the receive call to the finished reply, inside this server
	ClockTap          // difference of the two times in a dnstap message
	ClockPaired       // difference of the times of two messages that were put together, of dnstap or captured
)

// NoReason stands in Query.Reason where no Extended DNS Error applies; 0 is a code of its own (RFC 8914, Section 4.1).
const NoReason uint16 = 0xFFFF

// Query is one observation. Name and Reply are borrowed: they are valid only until the function that was handed
// the Query returns.
type Query struct {
	Has Known

	Source uint16 // 0 is this server itself, others are taps, numbered by the node
	Zone   uint32 // number of the zone, see Names; 0 is none of ours

	Time    int64 // ns since 1970 UTC, arrival of the question
	Latency int64 // ns

	Client     [16]byte // IPv4 as ::ffff:a.b.c.d
	Server     [16]byte
	ClientPort uint16
	ServerPort uint16

	ID         uint16
	QueryFlags uint16 // second 16 bits of the question's header
	Flags      uint16 // second 16 bits of the reply's header
	Rcode      uint16 // 12 bits with EDNS (RFC 6891, Section 6.1.3)
	Type       uint16
	Class      uint16
	Payload    uint16 // client's EDNS buffer size; 0 is no EDNS
	Reason     uint16 // EDE INFO-CODE, or NoReason
	QuerySize  uint16
	ReplySize  uint16 // 0 with HasReply: deliberately not answered

	Transport Transport
	From      From
	Clock     Clock
	DO        bool
	Policy    Policy

	Upstream     [16]byte
	UpstreamPort uint16
	UpstreamOver Transport
	Asked        uint16 // questions to servers, tries included
	AskedTime    int64  // ns that these were waited for

	Subnet     [16]byte
	SubnetBits uint8 // SOURCE PREFIX-LENGTH, in the family of the address

	Name  []byte // QNAME in wire form, case as asked; nil where there was none
	Reply []byte // start of the reply, at most ReplyCap octets
}

// ReplyCap bounds the copy of a reply inside an observation. It keeps the ring's work per answer constant.
const ReplyCap = 512

// ClientAddr is the client's address in its own family.
func (q *Query) ClientAddr() netip.Addr { return netip.AddrFrom16(q.Client).Unmap() }

// ServerAddr is the address that was asked, in its own family.
func (q *Query) ServerAddr() netip.Addr { return netip.AddrFrom16(q.Server).Unmap() }

// UpstreamAddr is the server whose answer was used; not valid where that is unknown.
func (q *Query) UpstreamAddr() netip.AddrPort {
	if q.Has&HasUpstream == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom16(q.Upstream).Unmap(), q.UpstreamPort)
}

// SubnetPrefix is the client subnet that the question carried; not valid where there was none.
func (q *Query) SubnetPrefix() netip.Prefix {
	if q.Has&HasSubnet == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(netip.AddrFrom16(q.Subnet).Unmap(), int(q.SubnetBits))
}

// At is the arrival as a time.
func (q *Query) At() time.Time { return time.Unix(0, q.Time).UTC() }

// Opcode is the kind of query (RFC 1035, Section 4.1.1).
func (q *Query) Opcode() uint8 { return uint8(q.QueryFlags >> 11 & 15) }
