package replay

import (
	"net/netip"
	"time"

	"anyu/dns/wire"
	"anyu/serve/local"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
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
	Hints             []Hint // Deckard's root server; priming happens. None: built-in hints, or the stub for the root
	Stubs             []Upstream
	Forwards          []Upstream
	IPv4              bool
	IPv6              bool
	Retries           int // outbound-msg-retry
	QNAMEMinimisation bool
	MinimiseStrict    bool // what is said of a shorter name is final
	QueryLocalhost    bool
	NotAsked          []netip.Prefix // servers that are never asked
	Prefetch          bool
	SendDO            bool // false: disable-edns-do

	// What is believed.
	HardenBelowNXDOMAIN   bool
	HardenAlgorithmDowngr bool
	HardenUnverifiedGlue  bool
	ScrubPromiscuous      bool
	ScrubNS               int // at most so many NS records of a set are kept
	PrivateAddresses      []netip.Prefix
	PrivateDomains        []wire.Name
	DNS64                 bool
	DNS64Prefix           netip.Prefix
	DNS64Ignore           []wire.Name

	// Validation. Without Validate nothing is validated whatever the anchors.
	Validate        bool
	Anchors         []Record // DS and DNSKEY
	AnchorFiles     []AnchorFile
	Insecure        []wire.Name               // negative trust anchors
	Date            int64                     // the validator's clock in seconds; 0: the clock
	IgnoreDates     bool                      // signature times are not checked
	FakeSHA1        bool                      // signatures of algorithms 3, 5, 6 and 7 count as good
	Iterations      []validate.IterationLimit // of NSEC3
	SkewMin         uint32                    // seconds that clocks are forgiven: a tenth of a signature's life, within these
	SkewMax         uint32
	BogusTTL        uint32 // seconds that what does not validate is not asked for again
	AddHold         uint32 // seconds until a new key is trusted (RFC 5011, Section 2.4.1)
	RemoveHold      uint32 // seconds until a revoked key is forgotten
	KeepMissing     uint32 // seconds until a key that is gone is forgotten; 0: never
	AggressiveNSEC  bool
	AnchorSignaling bool
	Sentinel        bool

	// The cache.
	MaxTTL, MinTTL, MaxNegativeTTL uint32
	ServeExpired                   bool
	ExpiredTTL                     uint32
	ExpiredReplyTTL                uint32
	ExpiredClientTimeout           time.Duration

	// What clients get.
	Minimal              bool
	Access               []Access
	LocalZones           []LocalZone
	LocalData            []local.Record
	LocalTags            []LocalTag
	EDE                  bool
	ExpiredEDE           bool // answers from expired records say so (RFC 8914, Section 4.4)
	NSID                 []byte
	Keepalive            bool // clients over TCP that ask are told how long a connection may be idle (RFC 7828)
	KeepaliveTime        time.Duration
	AnswerCookie         bool // server cookies are made (RFC 9018)
	CookieSecret         []byte
	Identity, Version    string
	HideIdentity         bool
	HideVersion          bool
	DiscardTimeout       time.Duration
	Modules              []string
	LANOpen, LANInsecure bool // zones of private networks are looked up, and not validated
	ResponsePolicy       bool // there is a response policy zone
	Zones                []AuthZone
	ZONEMDPermissive     bool
	Files                *Files // zone files, read and written by the system
}

// Hint is a root server.
type Hint struct {
	Name wire.Name
	Addr netip.AddrPort
}

// Upstream is a stub or forward zone.
type Upstream struct {
	Name  wire.Name
	Addrs []netip.AddrPort
	Hosts []wire.Name
	Prime bool // ask the servers for their NS set before use
	First bool // try without the zone when it fails
	TCP   bool
}

// Access is one line of access control. Action is Unbound's word.
type Access struct {
	Prefix netip.Prefix
	Action string
}

// LocalZone is one local zone. Type is Unbound's word.
type LocalZone struct {
	Name   wire.Name
	Type   string
	Client netip.Prefix // whom it is for, as local-zone-override says; not valid: everybody
}

// LocalTag joins local zones and clients by a word: a zone that has it is for clients that have it. Action and Data are what these get instead.
type LocalTag struct {
	Word   string
	Zone   wire.Name    // that has it; nil: Client has
	Client netip.Prefix // that has it
	Action string       // of access-control-tag-action
	Data   string       // of access-control-tag-data: type and RDATA
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
	s := &Settings{Dialect: d, IPv4: true, IPv6: true, Retries: 5, QNAMEMinimisation: true, SendDO: true, HardenBelowNXDOMAIN: true,
		ScrubPromiscuous: true, ScrubNS: 20, Validate: true, AggressiveNSEC: true, AnchorSignaling: true, Sentinel: true,
		MaxTTL: 86400, MaxNegativeTTL: 3600, ExpiredTTL: 86400, ExpiredReplyTTL: 30, ExpiredClientTimeout: 1800 * time.Millisecond,
		Minimal: true, KeepaliveTime: 120 * time.Second, DiscardTimeout: 1900 * time.Millisecond,
		BogusTTL: 60, AddHold: anchor.HoldDown, RemoveHold: anchor.HoldDown, KeepMissing: anchor.KeepMissing,
		Iterations:  []validate.IterationLimit{{KeyBits: 1024, Iterations: 150}, {KeyBits: 2048, Iterations: 150}, {KeyBits: 4096, Iterations: 150}},
		DNS64Prefix: netip.MustParsePrefix("64:ff9b::/96"), Modules: []string{"validator", "iterator"}, Files: &Files{}}
	if d == Unbound {
		s.SkewMin, s.SkewMax = 3600, 86400
	}
	if d == Deckard {
		s.AnchorSignaling = false
		s.Start = deckardStart * int64(time.Second)
	}
	return s
}
