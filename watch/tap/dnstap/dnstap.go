// Package dnstap reads and writes the messages of dnstap: what a name server tells about each DNS message that it received or sent.
//
// The schema is dnstap.proto, tag v20250201. It is read by hand, field by field, because reflection would cost ten times the message: a
// Message holds slices of the frame and nothing else. All fields but the type are optional, and what came is told by Has: a
// missing time is no time 0.
//
// The package promises: no input makes it panic or allocate; values of enumerations that it does not know are kept as numbers and not refused,
// since servers learn new ones before their readers; fields it does not know are passed over. It refuses frames
// that are no protobuf, that lack the type, or whose addresses are of no family; the error names the octet.
// Limits today: the policy is handed out as its own octets, see Policy.
package dnstap

import "strconv"

// Type says who sent what to whom (dnstap.proto, Message.Type): odd numbers are queries, even ones responses.
type Type uint8

// The fourteen types.
const (
	AuthQuery Type = iota + 1
	AuthResponse
	ResolverQuery
	ResolverResponse
	ClientQuery
	ClientResponse
	ForwarderQuery
	ForwarderResponse
	StubQuery
	StubResponse
	ToolQuery
	ToolResponse
	UpdateQuery
	UpdateResponse
	Types = 15 // one more than the highest
)

var typeNames = [Types]string{
	"UNKNOWN", "AUTH_QUERY", "AUTH_RESPONSE", "RESOLVER_QUERY", "RESOLVER_RESPONSE", "CLIENT_QUERY", "CLIENT_RESPONSE", "FORWARDER_QUERY",
	"FORWARDER_RESPONSE", "STUB_QUERY", "STUB_RESPONSE", "TOOL_QUERY", "TOOL_RESPONSE", "UPDATE_QUERY", "UPDATE_RESPONSE",
}

func (t Type) String() string {
	if t > 0 && t < Types {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// Known tells whether t is one of the fourteen.
func (t Type) Known() bool { return t > 0 && t < Types }

// IsResponse tells whether the message is a response.
func (t Type) IsResponse() bool { return t&1 == 0 }

// Protocol is how the message travelled (dnstap.proto, SocketProtocol).
type Protocol uint8

// Protocols. DoH is HTTP whatever its version.
const (
	UDP Protocol = iota + 1
	TCP
	DOT
	DOH
	DNSCryptUDP
	DNSCryptTCP
	DOQ
)

// Fields is the set of fields of Message that came. Octet fields say so themselves by not being nil.
type Fields uint16

const (
	HasFamily Fields = 1 << iota
	HasProtocol
	HasQueryPort
	HasResponsePort
	HasQueryTime
	HasResponseTime
)

// Families (dnstap.proto, SocketFamily).
const (
	INET  = 1
	INET6 = 2
)

// Message is one frame. Its slices point into the frame.
type Message struct {
	Identity, Version, Extra []byte

	Type     Type
	Has      Fields
	Family   uint8
	Protocol Protocol

	QueryAddress, ResponseAddress []byte // 4 or 16 octets; the query's is the initiator's side, also of outgoing messages
	QueryPort, ResponsePort       uint16

	QueryTime, ResponseTime int64 // ns since 1970

	Query, Response []byte // DNS messages
	QueryZone       []byte // a name in wire form
	Policy          []byte // protobuf of the policy that was applied
}
