// Package tap takes in what others observed: dnstap of other name servers, captured packets, C-DNS. Whatever the form, each DNS
// message becomes a Message, a Table puts queries and responses together, and a Transaction comes out: an event.Query as our own server makes
// them, and what only taps know.
//
// It promises to show what is missing as missing. A time, an address or a latency that was not told stays unknown; a latency is believed where one message
// has both times and they differ, else where the two messages of a pair have one each, else there is none; a query without its response and a
// response without its query come out as what they are. Everything is bounded and what is given up is counted. It refuses to count a question
// twice: what a server asks others (Outgoing) is told apart from what it was asked.
// Limits today: dnstap's policy is not looked at; a transaction has one response, the first (Counts.Continued counts the rest of transfers).
package tap

import (
	"anyu/event"
)

// Kind says who spoke to whom: dnstap's types of messages, two of which make a kind.
type Kind uint8

// Kinds. A captured message is Client, where nothing tells more.
const (
	Auth Kind = iota
	Resolver
	Client
	Forwarder
	Stub
	Tool
	Update
	kinds
)

var kindNames = [kinds]string{"auth", "resolver", "client", "forwarder", "stub", "tool", "update"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Outgoing tells whether the observed server asked, and was not asked. The same question of a client comes once as Client and perhaps several
// times as Resolver: only one of them may be counted as volume.
func (k Kind) Outgoing() bool { return k == Resolver || k == Forwarder || k == Stub || k == Tool }

// Known tells whether the kind is one of those this program knows.
func (k Kind) Known() bool { return k < kinds }

// OtherTransport is one that event has no name for, such as DNSCrypt.
const OtherTransport event.Transport = 15

// Message is one DNS message that somebody observed. Its slices are borrowed.
type Message struct {
	Kind  Kind
	Reply bool
	Has   event.Known // HasClient, HasServer, HasTime: Time is known

	Time  int64 // ns since 1970: when it passed the observer
	Asked int64 // of a reply: when its query passed, as the reply itself tells; 0 is unknown

	Client, Server         [16]byte // IPv4 as ::ffff:a.b.c.d
	ClientPort, ServerPort uint16
	Transport              event.Transport

	Wire     []byte // the message
	Query    []byte // of a reply that brings its query along
	Identity []byte // of the server, where it tells
	Zone     []byte // a name in wire form: what dnstap calls query_zone
	Hop      uint8  // TTL or hop limit of the packet; 0 is unknown

	Size    int  // on the wire, where Wire was written out again from a store that keeps no messages; 0: it is that of Wire
	Partial bool // Wire lacks records that the message had
}

// Transaction is a question and what became of it. The slices, those of Query too, are borrowed.
type Transaction struct {
	event.Query

	Kind      Kind
	ReplyTime int64 // ns since 1970; 0 is unknown

	Question []byte // message; nil: not observed
	Answer   []byte // message; nil: not observed
	Identity []byte
	Zone     []byte
	Hop      uint8
	Partial  bool // Answer lacks records that the message had
}

// Matched tells whether both messages were observed.
func (t *Transaction) Matched() bool { return t.Question != nil && t.Answer != nil }

// Problem is what is wrong with a message.
type Problem uint8

// Problems.
const (
	Fine Problem = iota
	ShortHeader
	BadQuestion
	ManyQuestions
	BadRecords
	Trailing
	NoMessage
	problems
)

var problemNames = [problems]string{
	Fine:          "",
	ShortHeader:   "shorter than a header",
	BadQuestion:   "question cannot be read",
	ManyQuestions: "more than one question",
	BadRecords:    "records cannot be read",
	Trailing:      "octets after the last record",
	NoMessage:     "an event without a DNS message",
}

func (p Problem) String() string {
	if p < problems {
		return problemNames[p]
	}
	return "unknown"
}

// Counts is what came of a source.
type Counts struct {
	Messages  uint64 // DNS messages
	Queries   uint64
	Responses uint64

	Matched            uint64 // transactions with both messages
	UnmatchedQueries   uint64
	UnmatchedResponses uint64
	Continued          uint64 // responses after the first of a zone transfer
	Crowded            uint64 // given up before their time, because too many waited; they are among the unmatched ones

	Kinds     [kinds]uint64    // messages
	Malformed [problems]uint64 // messages by Problem; NoMessage are not among Messages
	First     int64            // earliest and latest time of a message, ns; 0: none had one
	Last      int64
}

// Events is the number of events without a DNS message.
func (c *Counts) Events() uint64 { return c.Malformed[NoMessage] }

// Wrong is the number of malformed messages.
func (c *Counts) Wrong() (n uint64) {
	for p := ShortHeader; p < problems; p++ {
		if p != NoMessage {
			n += c.Malformed[p]
		}
	}
	return n
}
