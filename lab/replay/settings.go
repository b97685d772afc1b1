package replay

import (
	"net/netip"
	"time"

	"anyu/dns/wire"
)

// Settings are what a file asks of the resolver, in neutral words. The defaults of the dialect's program are filled in: Unbound's
// for its files, a validating resolver's usual ones for Deckard's.
type Settings struct {
	File string // of the scenario, for messages
	// ChecksFiles: the file looks at what the system writes, as it does after a zone transfer.
	ChecksFiles bool
	Dialect     Dialect
	Seed        uint64 // all chance comes from it
	Start       int64  // the clock when the system starts

	// Whom to ask.
	Hints    []Hint // Deckard's root server; priming happens. None: built-in hints, or the stub for the root
	Stubs    []Upstream
	Forwards []Upstream
	IPv4     bool
	IPv6     bool
	// TargetFetch is how many more server addresses are looked up at each dependency depth; -1 is all, 0 what is needed.
	TargetFetch            []int
	Retries                int // outbound-msg-retry
	QNAMEMinimisation      bool
	StrictMinimisation     bool
	QueryLocalhost         bool
	Prefetch, PrefetchKeys bool
	SendDO                 bool // false: disable-edns-do
	SendClientString       []PrefixText

	// What is believed.
	HardenGlue              bool
	HardenReferralPath      bool
	HardenBelowNXDOMAIN     bool
	HardenDNSSECStripped    bool
	HardenAlgorithmDowngr   bool
	HardenUnverifiedGlue    bool
	HardenUnknownAdditional bool
	ScrubPromiscuous        bool
	ScrubNS                 int // at most so many NS records of a set are kept
	PrivateAddresses        []netip.Prefix
	PrivateDomains          []wire.Name
	NAT64, DNS64            bool
	DNS64Prefix             netip.Prefix
	CapsForID               bool

	// Validation. Without Validate nothing is validated whatever the anchors.
	Validate            bool
	Anchors             []Record // DS and DNSKEY
	AnchorFiles         []AnchorFile
	Insecure            []wire.Name // negative trust anchors
	Date                int64       // the validator's clock in seconds; 0: the clock
	IgnoreDates         bool        // signature times are not checked
	FakeSHA1            bool        // signatures of algorithms 3, 5, 6 and 7 count as good
	AggressiveNSEC      bool
	CleanAdditional     bool
	AnchorSignaling     bool
	Sentinel            bool
	ValidationRestarts  int
	PermissiveValidator bool

	// The cache.
	MaxTTL, MinTTL, MaxNegativeTTL, MinNegativeTTL uint32
	ServeOriginalTTL                               bool
	MessageCacheSize                               int64 // octets, 0: the default
	ServeExpired                                   bool
	ExpiredTTL                                     uint32
	ExpiredReplyTTL                                uint32
	ExpiredTTLReset                                bool
	ExpiredClientTimeout                           time.Duration

	// What clients get.
	Minimal           bool
	Access            []Access
	LocalZones        []LocalZone
	LocalData         []LocalRecord
	DefaultLocal      bool // localhost, the zones of RFC 6303 ...
	EDE, EDEExpired   bool
	NSID              []byte
	AnswerCookie      bool
	CookieSecret      []byte
	Identity, Version string
	HideIdentity      bool
	HideVersion       bool
	RoundRobin        bool
	DiscardTimeout    time.Duration
	QueriesPerThread  int
	DenyANY           bool
	Modules           []string
	ResponsePolicy    bool // module respip: the RPZ list is used
	RPZ               []PolicyZone
	Zones             []AuthZone
	ZONEMDPermissive  bool
	Files             *Files // zone files, read and written by the system
}

// Hint is a root server.
type Hint struct {
	Name wire.Name
	Addr netip.AddrPort
}

// Upstream is a stub or forward zone.
type Upstream struct {
	Name    wire.Name
	Addrs   []netip.AddrPort
	Hosts   []wire.Name
	Prime   bool // ask the servers for their NS set before use
	First   bool // try without the zone when it fails
	NoCache bool
	TCP     bool
}

// Access is one line of access control. Action is Unbound's word.
type Access struct {
	Prefix netip.Prefix
	Action string
}

// LocalZone is one local zone. Type is Unbound's word.
type LocalZone struct {
	Name wire.Name
	Type string
	Line int
}

// LocalRecord is a record of local data.
type LocalRecord struct {
	Record
	Line int
}

// PrefixText is a text for a prefix.
type PrefixText struct {
	Prefix netip.Prefix
	Text   string
}

// PolicyZone is a response policy zone.
type PolicyZone struct {
	AuthZone
	Action   string // rpz-action-override: nxdomain, nodata, passthru, drop, disabled, cname; empty: what the zone says
	CNAME    wire.Name
	SignalNX bool // clear RA in NXDOMAIN answers
	LogName  string
}

// AuthZone is a zone that is held here.
type AuthZone struct {
	Name           wire.Name
	File           string // in Settings.Files; empty: none
	Primaries      []netip.AddrPort
	PrimaryHosts   []wire.Name
	AllowNotify    []string
	Downstream     bool
	Upstream       bool
	Fallback       bool
	CheckZONEMD    bool
	RejectNoZONEMD bool
}

// Times at which a run starts where the file names none.
const (
	unboundStart = 0
	deckardStart = 1_590_000_000 // seconds: May 2020, when the Deckard files were current
)

func defaults(d Dialect) *Settings {
	s := &Settings{Dialect: d, IPv4: true, IPv6: true, TargetFetch: []int{3, 2, 1, 0, 0}, Retries: 5, QNAMEMinimisation: true,
		SendDO: true, HardenGlue: true, HardenBelowNXDOMAIN: true, HardenDNSSECStripped: true, ScrubPromiscuous: true, ScrubNS: 20,
		Validate: true, AggressiveNSEC: true, CleanAdditional: true, AnchorSignaling: true, Sentinel: true, ValidationRestarts: 5,
		MaxTTL: 86400, MaxNegativeTTL: 3600, ExpiredTTL: 86400, ExpiredReplyTTL: 30, ExpiredClientTimeout: 1800 * time.Millisecond,
		Minimal: true, DefaultLocal: true, RoundRobin: true, DiscardTimeout: 1900 * time.Millisecond, QueriesPerThread: 2048,
		DNS64Prefix: netip.MustParsePrefix("64:ff9b::/96"), Modules: []string{"validator", "iterator"}, Files: &Files{}}
	if d == Deckard {
		s.AnchorSignaling = false
		s.Start = deckardStart * int64(time.Second)
	}
	return s
}
