package zone

import (
	"bytes"
	"fmt"

	"anyu/dns/wire"
)

// Severity of a problem.
type Severity int

const (
	// Warn: unusual, or against advice; the zone works.
	Warn Severity = iota
	// Error: names of the zone will not resolve, or not everywhere.
	Error
)

func (s Severity) String() string { return [...]string{"warning", "error"}[s] }

// Problem is one thing wrong with a zone.
type Problem struct {
	Severity Severity
	Code     string // stable, as glue-missing
	Owner    string // presentation form
	Text     string
}

func (p Problem) String() string {
	return fmt.Sprintf("%v %s %s: %s", p.Severity, p.Code, p.Owner, p.Text)
}

// CheckOptions say how to check.
type CheckOptions struct {
	SkipDNSSEC  bool // leave out what concerns DNSKEY, CDS, CDNSKEY and the parameters of NSEC3
	StrictNames bool // names of hosts that are none are errors, not warnings
}

// maxProblems bounds what Check returns; stops a zone of a million bad names from filling memory.
const maxProblems = 1000

// Check finds what is wrong with a zone as a whole, in canonical order of names. It verifies no signature and follows no
// chain of NSEC or NSEC3: that needs dns/dnssec.
func Check(z *Zone, opts CheckOptions) []Problem {
	c := &checker{z: z, opts: opts}
	c.apex()
	for n := range z.All() {
		if len(c.problems) >= maxProblems {
			break
		}
		c.owner = n.AppendOwner(c.owner[:0], z.apex)
		if n.IsNSEC3() {
			c.nsec3(n)
			continue
		}
		c.name(n)
	}
	return c.problems
}

// checker walks a zone once.
type checker struct {
	z        *Zone
	opts     CheckOptions
	problems []Problem

	owner  wire.Name // of the node being looked at
	cut    []byte    // key of the last zone cut met, of the last DNAME, and whether there is one
	dname  []byte
	hasCut bool
	has    bool
	key    []byte
}

func (c *checker) report(s Severity, code, format string, args ...any) {
	c.problems = append(c.problems, Problem{s, code, c.owner.String(), fmt.Sprintf(format, args...)})
}

// name checks one node of the tree of names.
func (c *checker) name(n Node) {
	key := n.Key()
	occluded := c.hasCut && len(key) > len(c.cut) && bytes.HasPrefix(key, c.cut)
	if occluded {
		c.occluded(n)
		return
	}
	if c.has && len(key) > len(c.dname) && bytes.HasPrefix(key, c.dname) {
		// RFC 6672, Section 2.4: no records below a DNAME, except the NSEC3 of an apex with DNAME, which stand elsewhere here.
		c.report(Error, "dname-children", "stands below a DNAME record")
	}
	if n.IsCut() {
		c.cut, c.hasCut = append(c.cut[:0], key...), true
	}
	if n.HasDNAME() {
		c.dname, c.has = append(c.dname[:0], key...), true
	}
	c.combination(n)
	for s := range n.Sets() {
		c.set(n, s)
	}
}

// occluded: below a cut stands glue and nothing else (RFC 1034, Section 4.2.1; RFC 2136, Section 7.18 names it so).
func (c *checker) occluded(n Node) {
	for s := range n.Sets() {
		switch s.Type() {
		case wire.TypeA, wire.TypeAAAA, wire.TypeRRSIG, wire.TypeNSEC:
		default:
			c.report(Warn, "occluded", "%v data below a zone cut is not served", s.Type())
			return
		}
	}
}

// combination checks what stands together at one name.
func (c *checker) combination(n Node) {
	if err := n.soundAlias(); err != nil {
		c.report(Error, "alone", "%v", err)
	}
	if n.HasDNAME() {
		// RFC 6672, Section 2.3: beside NS only at the apex.
		if n.IsCut() {
			c.report(Error, "dname-ns", "a DNAME record beside NS records")
		}
		if c.owner.IsWildcard() { // RFC 4592, Section 4.4
			c.report(Warn, "wildcard-dname", "a DNAME record at a wildcard")
		}
	}
	if n.IsCut() && c.owner.IsWildcard() { // RFC 4592, Section 4.2
		c.report(Warn, "wildcard-ns", "NS records at a wildcard")
	}
	if _, ok := n.Set(wire.TypeDS); ok {
		switch { // RFC 4035, Section 2.4: DS stands at a zone cut and never at the apex
		case n.IsApex():
			c.report(Error, "ds-apex", "DS records at the top of the zone")
		case !n.IsCut():
			c.report(Error, "ds-alone", "DS records without NS records")
		}
	}
	if _, ok := n.Set(wire.TypeNSEC3); ok {
		c.report(Error, "nsec3-owner", "an NSEC3 record whose owner is not a hash directly below the apex")
	}
}

// set checks one RRset that is served.
func (c *checker) set(n Node, s RRset) {
	for it := s.Iter(); it.Next(); {
		r := it.RData()
		switch s.Type() {
		case wire.TypeNS:
			c.nameServer(n, r)
		case wire.TypeMX:
			c.host(wire.Name(r[2:]), "mx", Warn)
		case wire.TypeSRV:
			c.host(wire.Name(r[6:]), "srv", Warn)
		case wire.TypePTR:
			c.pointer(wire.Name(r))
		case wire.TypeSVCB:
			c.dnsService(r)
		}
	}
	if t := s.Type(); t == wire.TypeA || t == wire.TypeAAAA || t == wire.TypeMX {
		if !isHostname(c.owner, true) {
			c.report(c.nameSeverity(), "owner-name", "the owner of %v records is not a host name (RFC 1123, Section 2.1)", t)
		}
	}
	c.policyAddress(n)
}

func (c *checker) nameSeverity() Severity {
	if c.opts.StrictNames {
		return Error
	}
	return Warn
}

// nameServer checks one NS record. In-zone servers need addresses; those at or below another cut get them from there.
func (c *checker) nameServer(n Node, target wire.Name) {
	if looksLikeAddress(target) {
		c.report(Warn, "ns-address", "the name server %v is an address: a name is needed", target)
		return
	}
	if !target.IsSubdomainOf(c.z.apex) {
		return
	}
	c.key = wire.AppendKey(c.key[:0], target, c.z.apex)
	cut, below := c.cutAbove(c.key)
	if below && !bytes.Equal(cut.Key(), n.Key()) {
		return
	}
	c.address(c.key, target, "ns", Error)
}

// host checks a name that mail or a service goes to.
func (c *checker) host(target wire.Name, code string, severity Severity) {
	if target.IsRoot() { // RFC 7505, Section 3; RFC 2782: no such service
		return
	}
	if looksLikeAddress(target) {
		c.report(Warn, code+"-address", "the target %v is an address: a name is needed", target)
		return
	}
	if !target.IsSubdomainOf(c.z.apex) {
		return
	}
	c.key = wire.AppendKey(c.key[:0], target, c.z.apex)
	if _, below := c.cutAbove(c.key); !below {
		c.address(c.key, target, code, severity)
	}
}

// address demands A or AAAA at a name of the zone, or at the wildcard that covers it.
func (c *checker) address(key []byte, target wire.Name, code string, severity Severity) {
	n, ok := c.z.Find(key)
	if !ok && !c.z.HasBelow(key) {
		n, ok = c.wildcard(key)
	}
	if ok {
		if n.HasCNAME() { // RFC 2181, Section 10.3
			c.report(severity, code+"-cname", "the target %v is an alias (CNAME)", target)
			return
		}
		if _, has := n.Set(wire.TypeA); has {
			return
		}
		if _, has := n.Set(wire.TypeAAAA); has {
			return
		}
	}
	if code == "ns" {
		code = "glue-missing"
	} else {
		code += "-no-address"
	}
	c.report(severity, code, "%v has no address record", target)
}

// wildcard is the source of synthesis for a name that does not exist (RFC 4592, Section 3.3.1).
func (c *checker) wildcard(key []byte) (Node, bool) {
	for len(key) > 0 {
		key = parentKey(key)
		_, ok := c.z.Find(key)
		if ok || c.z.HasBelow(key) {
			return c.z.Find(append(bytes.Clone(key), '*', 0))
		}
	}
	return Node{}, false
}

// parentKey is the key without its last label.
func parentKey(key []byte) []byte {
	return key[:bytes.LastIndexByte(key[:len(key)-1], 0)+1]
}

// cutAbove finds the zone cut at or above key that is nearest the apex.
func (c *checker) cutAbove(key []byte) (Node, bool) {
	for i, b := range key {
		if b != 0 {
			continue
		}
		if n, ok := c.z.Find(key[:i+1]); ok && n.IsCut() {
			return n, true
		}
	}
	return Node{}, false
}

// looksLikeAddress tells whether a name is a dotted quad, as from a forgotten host name.
func looksLikeAddress(n wire.Name) bool {
	if n.Labels() < 4 {
		return false
	}
	for i, k := 0, 0; k < 4; k++ {
		for _, b := range n[i+1 : i+1+int(n[i])] {
			if b < '0' || b > '9' {
				return false
			}
		}
		i += int(n[i]) + 1
	}
	return true
}

// isHostname: letters, digits and inner hyphens (RFC 952, RFC 1123); an owner may begin with a wildcard.
func isHostname(n wire.Name, wildcard bool) bool {
	if wildcard && n.IsWildcard() {
		n = n[2:]
	}
	for i := 0; n[i] != 0; i += int(n[i]) + 1 {
		label := n[i+1 : i+1+int(n[i])]
		for k, b := range label {
			alnum := b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
			if !alnum && (b != '-' || k == 0 || k == len(label)-1) {
				return false
			}
		}
	}
	return true
}
