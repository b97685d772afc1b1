package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

// ttl64 bounds made records where no SOA says how long the absence of the real ones holds (RFC 6147, Section 5.1.7).
const ttl64 = 600

// dns64 makes AAAA records from A records where there are none (RFC 6147, Section 5.1). It is called with each link of the chain; true: a is
// finished.
func (t *task) dns64(a *Answer, l *cache.Answer, name wire.Name) bool {
	if t.opts.CD || t.opts.CacheOnly {
		return false // Section 5.5: a client that checks itself is given what is there
	}
	done := t.config.dns64(a, l, name, func(q message.Question) *cache.Answer { return t.link(q, true) })
	if done && a.Rcode == wire.ServFail {
		t.blame(a)
	}
	return done
}

// dns64 does it with the answers of look.
func (c *Config) dns64(a *Answer, l *cache.Answer, name wire.Name, look func(message.Question) *cache.Answer) bool {
	q := a.Question
	if q.Type != wire.TypeAAAA || !c.DNS64.IsValid() {
		return false
	}
	if l.Rcode == wire.NXDomain || l.Security == dnssec.Bogus || aliasOf(l, name, q.Type) != nil {
		return false // Section 5.1.2: a name that does not exist stays so; other errors are as if there were no AAAA
	}
	if real := message.Find(l.Answer, name, wire.TypeAAAA); real != nil && !slices.ContainsFunc(c.DNS64Ignore, name.IsSubdomainOf) {
		return c.left64(a, real, look)
	}
	return c.made64(a, l, name, look)
}

// left64 leaves out AAAA records that are IPv4 addresses in another form (Section 5.1.4); false where nothing is to be made, because some are left.
func (c *Config) left64(a *Answer, real *message.RRset, look func(message.Question) *cache.Answer) bool {
	kept := real.Copy()
	kept.Data = slices.DeleteFunc(kept.Data, func(d []byte) bool {
		addr, ok := netip.AddrFromSlice(d)
		return ok && addr.Is4In6()
	})
	if len(kept.Data) == len(real.Data) {
		return false
	}
	drop := func(s *message.RRset) bool { return s.Type == wire.TypeAAAA && s.Name.Equal(real.Name) }
	a.Answer = slices.DeleteFunc(a.Answer, drop)
	a.Security = min(a.Security, dnssec.Insecure) // what is left is not what was signed
	if len(kept.Data) == 0 {
		return c.made64(a, &cache.Answer{}, real.Name, look)
	}
	kept.Sigs = nil
	a.Answer = append(a.Answer, kept)
	return true
}

// made64 puts what the A records of a name give in place of the AAAA records that are missing.
func (c *Config) made64(a *Answer, l *cache.Answer, name wire.Name, look func(message.Question) *cache.Answer) bool {
	four := look(message.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN})
	if four.Security == dnssec.Bogus { // Section 5.5, rule 1: what fails validation is SERVFAIL
		a.add(four, c.Minimal)
		return true
	}
	a.Expires = min(a.Expires, four.Expires) // also where nothing is made: A that fails now may be there soon
	set := message.Find(four.Answer, name, wire.TypeA)
	if set == nil || four.Rcode != wire.NoError {
		return false
	}
	made := &message.RRset{Name: set.Name, Type: wire.TypeAAAA, Class: set.Class, TTL: min(set.TTL, ttl64)}
	if soa := findType(l.Authority, wire.TypeSOA); soa != nil {
		made.TTL = min(set.TTL, soa.TTL) // Section 5.1.7
	}
	for _, d := range set.Data {
		if len(d) == 4 {
			made.Data = append(made.Data, embed(c.DNS64, [4]byte(d)))
		}
	}
	a.Answer = slices.DeleteFunc(a.Answer, func(s *message.RRset) bool { return s.Type == wire.TypeAAAA })
	a.Answer = append(a.Answer, made)
	a.Authority, a.Additional = nil, nil
	if a.Rcode == wire.ServFail { // the AAAA records could not be found out
		a.Rcode, a.Reason, a.Text, a.Expires = wire.NoError, four.Reason, four.Text, four.Expires
	}
	a.Security = min(a.Security, four.Security) // Section 5.5: AD is told where what it was made from is secure
	a.Stale = a.Stale || four.Stale
	return true
}

// reverse64 answers for the name of an address that has an IPv4 address in it with what is known of that one (Section 5.3.1); false: it is no
// such name.
func (t *task) reverse64(a *Answer) bool {
	four, ok := t.inside64(a.Question)
	if !ok {
		return false
	}
	b := four.As4()
	text := ""
	for _, o := range slices.Backward(b[:]) {
		text += strconv.Itoa(int(o)) + "."
	}
	name, err := wire.ParseName(text + "in-addr.arpa.")
	if err != nil {
		return false
	}
	l := t.link(message.Question{Name: name, Type: wire.TypePTR, Class: wire.ClassIN}, true)
	a.add(l, true)
	if l.Rcode == wire.ServFail {
		t.blame(a)
		return true
	}
	a.Authority, a.Additional, a.Security = nil, nil, min(a.Security, dnssec.Insecure)
	a.Answer = nil
	if set := message.Find(l.Answer, name, wire.TypePTR); set != nil {
		made := set.Copy()
		made.Name, made.Sigs = a.Question.Name, nil
		a.Answer = []*message.RRset{made}
	}
	return true
}

// inside64 reads the IPv4 address out of a question for the name of an address in our prefix.
func (t *task) inside64(q message.Question) (four netip.Addr, ok bool) {
	if q.Type != wire.TypePTR || !t.config.DNS64.IsValid() || t.opts.CD {
		return four, false
	}
	text, under := strings.CutSuffix(strings.ToLower(q.Name.String()), ".ip6.arpa.")
	if !under || len(text) != 63 {
		return four, false
	}
	var b [16]byte
	for i := range 32 {
		n, err := strconv.ParseUint(text[2*i:2*i+1], 16, 4)
		if err != nil || i < 31 && text[2*i+1] != '.' {
			return four, false
		}
		b[15-i/2] |= byte(n) << (4 * (i % 2))
	}
	if !t.config.DNS64.Contains(netip.AddrFrom16(b)) {
		return four, false
	}
	at := t.config.DNS64.Bits() / 8
	var v [4]byte
	for i := range v {
		if at == 8 {
			at++
		}
		v[i] = b[at]
		at++
	}
	return netip.AddrFrom4(v), true
}

// embed puts an IPv4 address into a prefix of 32 to 96 bits (RFC 6052, Section 2.2: bits 64 to 71 are zero).
func embed(prefix netip.Prefix, four [4]byte) []byte {
	b := prefix.Masked().Addr().As16()
	at := prefix.Bits() / 8
	for _, o := range four {
		if at == 8 {
			at++
		}
		b[at] = o
		at++
	}
	return b[:]
}
