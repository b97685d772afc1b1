package replay

import (
	"fmt"
	"net/netip"
	"time"
)

// Dialect is whose grammar and whose rules a file follows.
type Dialect uint8

// Dialects.
const (
	Unbound Dialect = iota
	Deckard
)

func (d Dialect) String() string { return [...]string{"unbound", "deckard"}[d] }

// Scenario is one file, read.
type Scenario struct {
	File    string
	Dialect Dialect
	Title   string
	Options []Option
	Anchors []AnchorFile
	Files   []TempFile
	Ranges  []Range
	Steps   []Step
}

// Option is one `key: value` of the configuration; Clause is the block it stands in and Block that block's number.
type Option struct {
	Clause string
	Block  int
	Name   string
	Args   []string
	Line   int
}

func (o Option) value() string {
	if len(o.Args) == 0 {
		return ""
	}
	return o.Args[0]
}

// AnchorFile is an RFC 5011 key file as it is at the start.
type AnchorFile struct {
	Name string
	Keys []AnchorKey
	Text string
}

// TempFile is a file the configuration makes.
type TempFile struct{ Name, Text string }

// Range is what some servers answer while some steps wait.
type Range struct {
	Line        int
	First, Last int
	Addresses   []netip.AddrPort // port 0: any
	Entries     []*Entry
}

// Step is one event.
type Step struct {
	Line    int
	Number  int
	Kind    StepKind
	Address netip.AddrPort
	Entry   *Entry
	Elapse  time.Duration
	Name    string   // ASSIGN, CHECK_AUTOTRUST, CHECK_TEMPFILE
	Text    string   // ASSIGN and EVAL, before expansion
	Lines   []string // FILE block
	Words   []string // INFRA_RTT, FLUSH_MESSAGE, EXPIRE_MESSAGE
}

// StepKind is the event of a step.
type StepKind uint8

// Kinds of steps.
const (
	StepNothing StepKind = iota
	StepQuery
	StepCheckAnswer
	StepCheckOutQuery
	StepReply
	StepTimeout
	StepError
	StepTraffic
	StepTimePasses
	StepAssign
	StepCheckAutotrust
	StepCheckTempfile
	StepInfraRTT
	StepFlushMessage
	StepExpireMessage
)

var stepNames = [...]string{"NOTHING", "QUERY", "CHECK_ANSWER", "CHECK_OUT_QUERY", "REPLY", "TIMEOUT", "ERROR", "TRAFFIC", "TIME_PASSES",
	"ASSIGN", "CHECK_AUTOTRUST", "CHECK_TEMPFILE", "INFRA_RTT", "FLUSH_MESSAGE", "EXPIRE_MESSAGE"}

func (k StepKind) String() string { return stepNames[k] }

// Entry is what a message must be like, and what is answered.
type Entry struct {
	Line      int
	Match     Words
	Serial    uint32
	EDE       int // with MatchEDE: the code, or -1 for any
	Adjust    Adjust
	Packets   []Packet // the first one is what is matched; more than one in a stream
	Mandatory bool
	RawQuery  []byte // Deckard
	TSIG      bool
}

// Packet is one message of an entry.
type Packet struct {
	Message Message
	Sleep   time.Duration
}

func (e *Entry) message() *Message { return &e.Packets[0].Message }

// Adjust says how a reply is fitted to the query.
type Adjust struct {
	CopyID, CopyQuery, RawID, Silent, ECSAssume, ECSIncrement bool
	Sleep                                                     time.Duration
}

// Words are the conditions of MATCH.
type Words uint32

// Words of both dialects.
const (
	MatchOpcode Words = 1 << iota
	MatchRcode
	MatchQType
	MatchQName
	MatchQCase
	MatchSubdomain
	MatchQuestion
	MatchAnswer
	MatchAuthority
	MatchAdditional
	MatchFlags
	MatchEDNS
	MatchAll
	MatchAllNoEDNS
	MatchTTL
	MatchDO
	MatchCO
	MatchNoEDNS
	MatchEDNSData
	MatchUDP
	MatchTCP
	MatchSerial
	MatchEDE
	MatchClientCookie
	MatchServerCookie
)

// Error is what is wrong in a file, and where.
type Error struct {
	File string
	Line int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }
