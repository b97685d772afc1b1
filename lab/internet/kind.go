package internet

import (
	"fmt"

	"anyu/dns/wire"
)

// Kind is one way in which a zone is broken.
type Kind struct {
	Name string
	What string
	// Outcome is what an honest resolver makes of questions in Scope; all others it answers.
	Outcome Outcome
	Scope   Scope

	servers  behaviour // of the servers, where they are the fault
	one      bool      // of one server only; the other is in order
	signed   bool      // the zone must be signed, or there is nothing to break
	unsigned bool
	fault    fault
	content  func(*maker)
}

// Outcome is what becomes of a question.
type Outcome uint8

const (
	Works    Outcome = iota // it is answered, perhaps late
	Fails                   // SERVFAIL
	Bogus                   // SERVFAIL for who validates and can follow the chain of trust to the zone; else it is answered
	Unproven                // it is answered, and insecure
	Differs                 // honest resolvers differ: an answer and SERVFAIL are both right
)

func (o Outcome) String() string {
	return [...]string{"works", "fails", "bogus", "unproven", "differs"}[o]
}

// Scope is which questions of a zone are concerned.
type Scope uint8

const (
	All      Scope = iota
	Negative       // answers that need a proof: those that deny, and those from wildcards
	AAAA           // questions for IPv6 addresses
	WWW            // the name www
)

// behaviour of a server, whatever it is asked.
type behaviour uint8

const (
	decent behaviour = iota // all servers but strangers
	silent
	refuses
	fails
	notImplemented
	slow
	lossy
	formerrEDNS
	dropsEDNS
	dropsAAAA
	truncates
	truncatesOnly
	wrongID
	wrongQuestion
	losesCase
	garbage
	upward
	referring
	lackingAA
	behaviours
)

// fault of a zone's data or signatures.
type fault uint8

const (
	faultNone fault = iota
	faultCycle
	faultFanOut
	faultExpired
	faultEarly
	faultSignature
	faultNoKeys
	faultDS
	faultNoProof
	faultAlgorithm
	faultDigest
	faultUnsigned
	faultTrap
	faultIterations
)

// manyIterations of NSEC3: the most that RFC 5155, Section 10.3 knew (CVE-2023-50868).
const manyIterations = 2500

// table names every kind. A world of 100,000 zones has about 250 zones of each.
var table = [...]Kind{
	{Name: "lame-one", What: "one of two servers refuses", servers: refuses, one: true},
	{Name: "lame", What: "all servers refuse", Outcome: Fails, servers: refuses},
	{Name: "unreachable-one", What: "one of two servers is silent", servers: silent, one: true},
	{Name: "unreachable", What: "all servers are silent", Outcome: Fails, servers: silent},
	{Name: "slow", What: "replies take 50 to 800 ms", servers: slow},
	{Name: "lossy", What: "three of ten datagrams are lost", servers: lossy},
	{Name: "servfail-one", What: "one of two servers says SERVFAIL", servers: fails, one: true},
	{Name: "servfail", What: "all servers say SERVFAIL", Outcome: Fails, servers: fails},
	{Name: "notimp", What: "all servers say NOTIMP", Outcome: Fails, servers: notImplemented},
	{Name: "formerr-edns", What: "FORMERR to EDNS (RFC 6891, Section 7)", servers: formerrEDNS, unsigned: true},
	{Name: "drops-edns", What: "silent to EDNS; since 2019 nobody has to try without", Outcome: Differs, servers: dropsEDNS, unsigned: true},
	{Name: "drops-aaaa", What: "silent to AAAA (RFC 4074, Section 4.1); an alias may be known from another question", Outcome: Differs, Scope: AAAA, servers: dropsAAAA},
	{Name: "truncates", What: "TC to all over UDP", servers: truncates},
	{Name: "truncates-only", What: "TC to all over UDP, silent over TCP", Outcome: Fails, servers: truncatesOnly},
	{Name: "huge", What: "addresses and texts of many kilobytes", content: huge},
	{Name: "wrong-id", What: "replies have another ID", Outcome: Fails, servers: wrongID},
	{Name: "wrong-question", What: "replies have another question", Outcome: Fails, servers: wrongQuestion},
	{Name: "case-lost", What: "the question comes back in lower case", servers: losesCase},
	{Name: "garbage", What: "random octets after the ID", Outcome: Fails, servers: garbage},
	{Name: "upward-referral", What: "referrals to the root (RFC 4697, Section 2.2)", Outcome: Fails, servers: upward},
	{Name: "self-referral", What: "referrals to the zone itself; Unbound takes them for an empty answer", Outcome: Differs, servers: referring},
	{Name: "no-aa", What: "answers without AA", Outcome: Differs, servers: lackingAA},
	{Name: "ns-cycle", What: "two zones whose servers are named in each other (TsuNAME)", Outcome: Fails, fault: faultCycle},
	{Name: "nxns", What: "30 servers whose names do not exist (CVE-2020-12662)", Outcome: Fails, fault: faultFanOut},
	{Name: "cname-loop", What: "www is an alias of itself over two others", Outcome: Differs, Scope: WWW, content: loop},
	{Name: "cname-chain", What: "www is an alias over 6 others", content: chain(6)},
	{Name: "cname-long", What: "www is an alias over 24 others", Outcome: Differs, Scope: WWW, content: chain(24)},
	{Name: "expired", What: "signatures ended in 2021", Outcome: Bogus, signed: true, fault: faultExpired},
	{Name: "not-yet", What: "signatures begin in 2040", Outcome: Bogus, signed: true, fault: faultEarly},
	{Name: "bogus-signature", What: "signatures of data do not verify", Outcome: Bogus, signed: true, fault: faultSignature},
	{Name: "missing-dnskey", What: "signed, and the keys are not there", Outcome: Bogus, signed: true, fault: faultNoKeys},
	{Name: "ds-mismatch", What: "no key is the one of the DS record", Outcome: Bogus, signed: true, fault: faultDS},
	{Name: "missing-nsec", What: "denials without proof", Outcome: Bogus, Scope: Negative, signed: true, fault: faultNoProof},
	{Name: "unknown-algorithm", What: "signed with algorithm 200", Outcome: Unproven, signed: true, fault: faultAlgorithm},
	{Name: "unknown-digest", What: "DS records of digest type 200 only", Outcome: Unproven, signed: true, fault: faultDigest},
	{Name: "unsigned", What: "a DS record, and no signature", Outcome: Bogus, signed: true, fault: faultUnsigned},
	{Name: "key-trap", What: "12 keys of one tag, 12 signatures that do not verify (CVE-2023-50387)", Outcome: Bogus, signed: true, fault: faultTrap},
	{Name: "many-iterations", What: "NSEC3 with 2,500 iterations (CVE-2023-50868)", Outcome: Differs, Scope: Negative, signed: true, fault: faultIterations},
}

// Kinds are all ways in which zones are broken.
func Kinds() []Kind { return append([]Kind(nil), table[:]...) }

// houseBroken gives a zone the servers that its kind demands; false: any.
func (w *World) houseBroken(z *zone, s *stretch, j int, vanity []host) bool {
	switch z.kind.fault {
	case faultCycle:
		other := s.name(j ^ 1)
		for i := range vanity {
			vanity[i].name = under(fmt.Sprintf("ns%d", i+1), other)
		}
		z.hosts = vanity
		return true
	case faultFanOut:
		victim := w.operatorDomain(int(mix(z.seed, 5) % operators))
		for i := range 30 {
			z.hosts = append(z.hosts, host{mustName(fmt.Sprintf("ns%d-%x.%s", i, mix(z.seed, 6, uint64(i)), victim)), vanity[0].server})
		}
		return true
	}
	if z.kind.servers == decent {
		return false
	}
	first := int(mix(z.seed, 7) % strangers)
	bad := func(i int) int { return firstStranger + int(z.kind.servers-1)*strangers + (first+i)%strangers }
	vanity[0].server = bad(0)
	if !z.kind.one {
		vanity[1].server = bad(1)
	}
	z.hosts = vanity
	return true
}

// manner is how a server behaves.
func manner(server int) behaviour {
	if server < firstStranger {
		return decent
	}
	return 1 + behaviour((server-firstStranger)/strangers)
}

func huge(m *maker) {
	m.add("www", wire.TypeA, m.addresses(200)...)
	var lines [][]byte
	for i := range 40 {
		lines = append(lines, text(fmt.Sprintf("%0200d", i)))
	}
	m.add("big", wire.TypeTXT, lines...)
}

func loop(m *maker) {
	m.alias("www", m.below("loop1"))
	m.alias("loop1", m.below("loop2"))
	m.alias("loop2", m.below("www"))
}

func chain(length int) func(*maker) {
	return func(m *maker) {
		m.alias("www", m.below("c1"))
		for i := 1; i < length; i++ {
			m.alias(fmt.Sprintf("c%d", i), m.below(fmt.Sprintf("c%d", i+1)))
		}
		m.host(fmt.Sprintf("c%d", length), 2)
	}
}
