package validate

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Anchor is one trust anchor: a DS or DNSKEY record of a zone (RFC 4033, Section 2).
type Anchor struct {
	Zone wire.Name
	Type wire.Type // TypeDS or TypeDNSKEY
	Data []byte    // RDATA
}

// Check tells whether an anchor can be read.
func (a Anchor) Check() error {
	switch {
	case wire.ValidName(a.Zone) != nil:
		return errors.New("trust anchor without a valid name")
	case a.Type != wire.TypeDS && a.Type != wire.TypeDNSKEY:
		return fmt.Errorf("trust anchor of %v: %v is neither DS nor DNSKEY", a.Zone, a.Type)
	case wire.CheckRData(a.Type, a.Data) != nil || len(a.Data) < 5:
		return fmt.Errorf("trust anchor of %v: malformed %v record", a.Zone, a.Type)
	}
	return nil
}

// MaxNegativeLife is how long a negative trust anchor may stand. RFC 7646, Section 2: it should not exceed a week.
const MaxNegativeLife = 7 * 24 * 3600

// NegativeAnchor stops validation at a name and below it (RFC 7646), up to the next trust anchor below.
type NegativeAnchor struct {
	Name   wire.Name
	Owner  string // who answers for it
	Reason string
	Begin  int64 // seconds since 1970
	End    int64 // the same; 0 is for as long as the process runs, and only for what a command line says
}

// Check tells whether a configured negative trust anchor has what RFC 7646, Section 2 asks for.
func (n NegativeAnchor) Check() error {
	switch {
	case wire.ValidName(n.Name) != nil:
		return errors.New("negative trust anchor without a valid name")
	case n.Owner == "" || n.Reason == "":
		return fmt.Errorf("negative trust anchor at %v: owner and reason are needed", n.Name)
	case n.End <= n.Begin:
		return fmt.Errorf("negative trust anchor at %v: ends before it begins", n.Name)
	case n.End-n.Begin > MaxNegativeLife:
		return fmt.Errorf("negative trust anchor at %v: stands for more than a week", n.Name)
	}
	return nil
}

// IterationLimit is how many NSEC3 iterations are computed for zones whose keys have at most so many bits.
type IterationLimit struct{ KeyBits, Iterations int }

// Config is what a validator is told. The zero Config validates nothing: it has no trust anchor.
type Config struct {
	Anchors  []Anchor
	Negative []NegativeAnchor
	// AllowSHA1 validates with algorithms 5 and 7. RFC 9905, Section 3: else their zones are insecure.
	AllowSHA1 bool
	// Refused algorithms are treated as unknown, whatever else is set.
	Refused []dnssec.Algorithm
	// AllAlgorithms demands that each algorithm of the DS RRset signs. RFC 6840, Section 5.11: a validator should not.
	AllAlgorithms bool
	// Iterations of NSEC3 by key size, smallest size first; the last stands for all above. None: denial.DefaultIterations.
	Iterations []IterationLimit
	// Minimal leaves authority and additional of a positive answer that needs no proof out, instead of validating them.
	Minimal bool
	// Skew forgives clocks: seconds before the start and after the end that a signature still counts.
	Skew uint32
	// BogusTTL is how many seconds keys that do not hold are not asked for again; 0: a minute.
	BogusTTL uint32
	// KeyEntries is how many zones are remembered; 0 is DefaultKeyEntries.
	KeyEntries int

	// Primed is told, where it is set, of the DNSKEY RRset that was fetched for a zone with a trust anchor, before it is judged, so that
	// a revocation counts at once (RFC 5011, Section 2.1). True: it has changed the anchors with Configure. It is called on the goroutine
	// of a query; calls may overlap.
	Primed func(now int64, zone wire.Name, set *message.RRset) (changed bool)

	// What follows is for scenarios with old signatures.

	// SkewMax, where it is set, lets long-lived signatures be forgiven more: a tenth of their life, from Skew up to this.
	SkewMax uint32
	// Date, in seconds since 1970, stands for now where times of signatures are looked at; 0 is now, DateOff never minds them.
	Date int64
	// FakeSHA1 takes signatures of algorithms 3, 5, 6 and 7 for good once tag, labels, owner and dates fit.
	FakeSHA1 bool
}

// DateOff is a Config.Date.
const DateOff = -1

// DefaultKeyEntries is for a busy resolver: some hundred octets to some kilobytes each.
const DefaultKeyEntries = 20000

// settings are a Config prepared.
type settings struct {
	Config
	points  map[string]*point // by name in lower case
	refused [256]bool
}

// point is a name at which something is configured.
type point struct {
	name     wire.Name
	ds, keys [][]byte
	negative []NegativeAnchor
}

// place is what is configured nearest to a name. The zero place: nothing is.
type place struct {
	anchor   *point
	negative *NegativeAnchor
}

// above tells whether a zone is above the trust anchor that decides, and not itself secure by one higher up. RFC 4035, Section 5.3.1: the signer is
// the zone that holds the RRset; taking the word of one above the anchor for it would let anybody make an anchored zone look unsigned by naming
// a signer that no anchor vouches for.
func (p place) above(z *zone) bool {
	return p.anchor != nil && z.security != dnssec.Secure && !z.name.IsSubdomainOf(p.anchor.name)
}

func (p place) text() string {
	text := fmt.Sprintf("negative trust anchor at %v", p.negative.Name)
	if p.negative.Owner != "" {
		text += " of " + p.negative.Owner
	}
	if p.negative.Reason != "" {
		text += ": " + p.negative.Reason
	}
	if p.negative.End != 0 {
		text += ", until " + dateText(time.Unix(p.negative.End, 0))
	}
	return clip(text)
}

func newSettings(c Config) *settings {
	s := &settings{Config: c, points: map[string]*point{}}
	at := func(name wire.Name) *point {
		key := string(name.AppendLower(nil))
		if s.points[key] == nil {
			s.points[key] = &point{name: wire.Name(key)}
		}
		return s.points[key]
	}
	for _, a := range c.Anchors {
		switch {
		case a.Check() != nil:
		case a.Type == wire.TypeDS:
			at(a.Zone).ds = append(at(a.Zone).ds, a.Data)
		default:
			at(a.Zone).keys = append(at(a.Zone).keys, a.Data)
		}
	}
	for _, n := range c.Negative {
		if wire.ValidName(n.Name) == nil {
			at(n.Name).negative = append(at(n.Name).negative, n)
		}
	}
	for _, a := range c.Refused {
		s.refused[a] = true
	}
	return s
}

// nearest finds the trust anchor or negative trust anchor that decides about a name. RFC 7646, Section 2: a negative one at the
// same name goes before, and a trust anchor below it holds.
func (s *settings) nearest(name wire.Name, seconds int64) place {
	var room [wire.MaxName]byte
	for n := wire.Name(name.AppendLower(room[:0])); ; n = n.Parent() {
		if p := s.points[string(n)]; p != nil {
			for i := range p.negative {
				if e := &p.negative[i]; (e.End == 0 || seconds < e.End) && seconds >= e.Begin {
					return place{negative: e}
				}
			}
			if len(p.ds)+len(p.keys) > 0 {
				return place{anchor: p}
			}
		}
		if n.IsRoot() {
			return place{}
		}
	}
}

// skew is how many seconds a signature is forgiven.
func (s *settings) skew(sig *dnssec.Signature) uint32 {
	if s.SkewMax == 0 {
		return s.Skew
	}
	return min(max((sig.Expiration-sig.Inception)/10, s.Skew), s.SkewMax)
}

// bogusSeconds is how long a zone counts as bogus.
func (s *settings) bogusSeconds() uint32 { return cmp.Or(s.BogusTTL, maxBogusSeconds) }

// faked tells whether signatures of an algorithm are taken for good.
func (s *settings) faked(a dnssec.Algorithm) bool {
	return s.FakeSHA1 && (a == dnssec.DSA || a == dnssec.RSASHA1 || a == dnssec.DSANSEC3SHA1 || a == dnssec.RSASHA1NSEC3SHA1)
}

// accepts tells whether an algorithm is validated with. RFC 4035, Section 5.2: zones with none of these are insecure.
func (s *settings) accepts(a dnssec.Algorithm) bool {
	switch {
	case s.refused[a]:
		return false
	case s.faked(a):
		return true
	case a == dnssec.RSASHA1 || a == dnssec.RSASHA1NSEC3SHA1:
		return s.AllowSHA1 // RFC 9905, Section 3
	}
	return a.Supported()
}
