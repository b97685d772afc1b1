package config

import (
	"net/netip"
	"time"
)

// Recursion is the resolver: what is no zone of ours is looked up for those who may ask for that (clients.recursion). A reload takes all of
// it; the cache stays, but for what the change makes untrue.
type Recursion struct {
	// Off answers from zones only. Default false.
	Off bool `yaml:"off"`
	// Hints is a file with the names and addresses of the root servers (RFC 9609). Default: built in, those of IANA.
	Hints string `yaml:"hints"`
	// Prime asks the hints for the root servers of today first (RFC 9609). Default true. False keeps to the hints.
	Prime *bool `yaml:"prime"`
	// Stub are zones that are asked at given authoritative servers.
	Stub []Upstreams `yaml:"stub"`
	// Forward are zones that are asked at given resolvers; the name "." forwards everything.
	Forward []Upstreams `yaml:"forward"`
	// Minimise tells servers no more of a name than they need (RFC 9156). Default true.
	Minimise *bool `yaml:"minimise"`
	// CaseRandomisation asks servers over UDP in letters of random case, which a forger must guess as well (0x20). A server that does not give them back
	// is asked over TCP. Default true. False is for servers that fail by it: there are some that drop such questions.
	CaseRandomisation *bool `yaml:"case_randomisation"`
	// IPv4 asks servers over IPv4. Default true.
	IPv4 *bool `yaml:"ipv4"`
	// IPv6 asks servers over IPv6. Default true: where it does not work that is noticed, and IPv4 is taken.
	IPv6 *bool `yaml:"ipv6"`
	// Source are the addresses that questions leave from, one of each family at most. Default: what the system chooses.
	Source []netip.Addr `yaml:"source"`
	// Forbidden are addresses that are never asked because an answer names them as servers. Default: loopback, unspecified, multicast,
	// broadcast. Our own addresses are added. Configured servers and hints are not concerned.
	Forbidden []netip.Prefix `yaml:"forbidden"`
	// Permitted are exceptions from forbidden, for a test network on loopback. Default: none.
	Permitted []netip.Prefix `yaml:"permitted"`
	// Private are addresses removed from answers, so that a name of a stranger cannot lead a browser into our network (DNS
	// rebinding). Default: the private, loopback, link-local and shared ranges of IPv4 and IPv6. An empty list: none.
	Private []netip.Prefix `yaml:"private"`
	// PrivateNames may have such addresses, with all below them: the names of our own network. Stub and forward zones other than
	// the root may too. Default: none.
	PrivateNames []string `yaml:"private_names"`
	// DNS64 is the prefix that IPv6-only clients reach IPv4 through (RFC 6147), for example 64:ff9b::/96. Default: none, no AAAA is made.
	DNS64 netip.Prefix `yaml:"dns64"`
	// DNS64Ignore are names whose AAAA records do not count, with all below them: what they lead to does not work. Default: none.
	DNS64Ignore []string `yaml:"dns64_ignore"`
	// Open are names in the zones that are always answered here (RFC 6303, RFC 6761: test., 10.in-addr.arpa. and the like) that are looked up
	// nevertheless, because our network has them in its DNS. Names of stub and forward zones and of trust anchors need not be listed. Default: none.
	Open []string `yaml:"open"`
	// Aggressive answers from proofs held that a name does not exist (RFC 8198). Default true.
	Aggressive *bool `yaml:"aggressive"`
	// Minimal leaves out records an answer can do without. Default true.
	Minimal *bool `yaml:"minimal"`
	// Snoop lets clients that may use recursion look into the cache by asking without RD. Default false.
	Snoop bool `yaml:"snoop"`
	// Reasons tells clients why an answer failed (Extended DNS Errors, RFC 8914). Default true.
	Reasons *bool `yaml:"reasons"`

	Local      Local      `yaml:"local"`
	LocalRoot  LocalRoot  `yaml:"local_root"`
	Validation Validation `yaml:"validation"`
	Cache      Cache      `yaml:"cache"`
	Limits     Limits     `yaml:"limits"`
	Rate       ClientRate `yaml:"rate"`
	Discovery  Discovery  `yaml:"discovery"`
}

// Local is what we want answered here over names that would be looked up otherwise. It goes before zones of ours, the cache and resolving, for those who
// may use recursion; nothing of it is signed or AD. Targets of aliases are looked up where there is no record for them here. What others' aliases lead to
// is not looked at.
type Local struct {
	// Records in the form of a zone file, names in full, each in quotes: `www.example.com. 300 A 10.0.0.5`. Any type; without a TTL it is 3600, for an SOA its MINIMUM. For other types
	// the name has none then (an empty answer); other names are looked up as ever. Default: none.
	Records []string `yaml:"records"`
	// Files with such records, as a zone file has them. They are read again with each reload. Default: none.
	Files []string `yaml:"files"`
	// Hosts are files in the form of /etc/hosts: an address and its names. Names of one label are taken as they are; localhost and broadcasthost are left to
	// RFC 6761. Default: none.
	Hosts []string `yaml:"hosts"`
	// Reverse makes the PTR record for each address above that has none, with the first name it is given. Default false.
	Reverse bool `yaml:"reverse"`
	// Rules for names with all below them. The closest to the name asked for counts, of several for one name the first that fits client and type.
	Rules []LocalRule `yaml:"rules"`
}

// LocalRule says what is answered for a name and all below it where there is no record.
type LocalRule struct {
	// Name the rule is for.
	Name string `yaml:"name"`
	// Answer: `nxdomain` (the name does not exist), `nodata` (it has no records of the type), `refuse`, `drop` (no reply at all), `redirect` (every name has the records of
	// the rule's name), `static` (there is nothing but our records), `transparent` (looked up where we have no record: an exception from a rule above, or from the zones
	// that are always answered here), `typetransparent` (the same, and types of which we have no record are looked up too).
	Answer string `yaml:"answer"`
	// Types the rule is for, for example [AAAA]. A question for ANY is for each of them. Default: all.
	Types []string `yaml:"types"`
	// Records at or below the name, as under local.records; a name without a dot at the end is below the rule's, @ is the rule's own. An SOA record of the rule's
	// name goes with answers that there is nothing, so that clients keep them.
	Records []string `yaml:"records"`
	// Clients are prefixes the rule is for, and nobody else; they need not be allowed to use recursion. Its records are for them only. Default: all
	// that may use recursion.
	Clients []netip.Prefix `yaml:"clients"`
	// Reason is what clients are told (Extended DNS Errors, RFC 8914): `blocked` (we do not want it), `censored` (somebody else demands it), `filtered` (the client asked for
	// it), `forged` (the answer is not that of the owner), `none`. Default: blocked with nxdomain, nodata and refuse, forged with redirect, else none.
	Reason string `yaml:"reason"`
}

// LocalRoot keeps a copy of the root zone here (RFC 8806), so that names are found while the root servers cannot be reached. A copy is used only
// if its ZONEMD and its signatures hold, until the expire time of its SOA; then the root servers are asked. The last two good copies are in
// DATA/mirror.
type LocalRoot struct {
	// Sources of the zone, in quotes, asked in turn when one fails: `axfr:ADDR` (zone transfer over TCP), `xot:ADDR#NAME` (over TLS, NAME is what the
	// certificate says; RFC 9103), `https://HOST/PATH` (the zone as text; HOST is looked up by this resolver itself, at the root servers while there is no copy,
	// or is at ADDR with `https://HOST/PATH#ADDR`), `file:PATH`. ADDR is an address with or without port. Default: none,
	// there is no copy. IANA names sources that may be used: https://www.internic.net/domain/root.zone, and the servers
	// of ICANN for transfers, axfr:192.0.32.132 and axfr:192.0.47.132.
	Sources []string `yaml:"sources"`
	// TLSRoots is a PEM file of the certificate authorities to trust for xot and https. Default: those of the system.
	TLSRoots string `yaml:"tls_roots"`
}

// Upstreams are the servers of a zone that is not looked up from the root.
type Upstreams struct {
	// Name of the zone.
	Name string `yaml:"name"`
	// Servers to ask: the fastest, and those about as fast, in turn; one that is silent or down is asked now and then until it is back. Those with tls,
	// https or quic go before those with udp and tcp, which are asked when none of the others answers: leave them out where nobody is to listen.
	Servers []Upstream `yaml:"servers"`
	// First resolves from the root when none of the servers answers. Default false: that is a failure.
	First bool `yaml:"first"`
	// Prime asks a stub's servers for the zone's name servers, and those then. Default false. Not with forward.
	Prime bool `yaml:"prime"`
}

// Upstream is a server and how to speak to it.
type Upstream struct {
	// Address, with port or without: then it is 53, with tls and quic 853, with https 443.
	Address string `yaml:"address"`
	// Protocol: udp (default; tcp where an answer is too long for it), tcp, tls, https or quic.
	Protocol string `yaml:"protocol"`
	// Name the server's certificate must have. Default: none, any certificate will do, which protects from listeners only (RFC 7858,
	// Section 4.1); https must have one.
	Name string `yaml:"name"`
	// Path with https. Default /dns-query.
	Path string `yaml:"path"`
}

// Validation checks signatures (DNSSEC).
type Validation struct {
	// Off believes everything. Default false. An answer that was tampered with is then passed on.
	Off bool `yaml:"off"`
	// Anchors are files with DS or DNSKEY records to trust, for any zone. Default: none beside those of the root that are built in
	// (20326 and 38696). A file with records for the root takes the place of those.
	Anchors []string `yaml:"anchors"`
	// Update follows key changes of the root and the zones in Anchors (RFC 5011); what was learned is in DATA/anchors. Default true.
	Update *bool `yaml:"update"`
	// Signal tells the root which of its keys are trusted here (RFC 8145). Default true.
	Signal *bool `yaml:"signal"`
	// Negative are names whose signatures are not looked at for a while (RFC 7646). `anyu control nta` makes them too.
	Negative []Negative `yaml:"negative"`
	// Insecure are names of --insecure, for this run.
	Insecure []string `yaml:"-"`
	// SHA1 validates with algorithms 5 and 7. Default false: their zones count as unsigned (RFC 9905).
	SHA1 bool `yaml:"sha1"`
	// Refused are numbers of algorithms that count as unknown: zones signed with these only are as unsigned. Default: none.
	Refused []int `yaml:"refused"`
	// Skew forgives clocks: how long before and after its time a signature counts. Default 0.
	Skew Duration `yaml:"skew"`
}

// Negative is a negative trust anchor (RFC 7646).
type Negative struct {
	// Name at which, and below which, nothing is validated.
	Name string `yaml:"name"`
	// Owner answers for it.
	Owner string `yaml:"owner"`
	// Reason says why.
	Reason string `yaml:"reason"`
	// End is when it stops, for example 2026-12-01T12:00:00Z; at most a week ahead. When it has passed, the entry means nothing.
	End time.Time `yaml:"end"`
}

// Cache keeps what was learned.
type Cache struct {
	// Size is the memory for it, octets. Default: an eighth of what the process may use, from 64MiB to 2GiB.
	Size Size `yaml:"size"`
	// MaxTTL bounds how long anything is kept. Default 1d.
	MaxTTL Duration `yaml:"max_ttl"`
	// MinTTL keeps records longer than their owner says. Default 0s: as published.
	MinTTL Duration `yaml:"min_ttl"`
	// NegativeTTL bounds how long it is kept that something does not exist. Default 1h.
	NegativeTTL Duration `yaml:"negative_ttl"`
	// FailureTTL is how long a failure is kept at first; each time it lasts it is kept a quarter longer (RFC 9520). Default 5s, from 1s to 5m.
	FailureTTL Duration `yaml:"failure_ttl"`
	// Stale answers from records that expired no longer ago than this when their servers fail (RFC 8767). Default 1d; 0s never.
	Stale *Duration `yaml:"stale"`
	// StaleAfter is how long a client waits for fresh records before it gets expired ones. Default 1.8s; 0s: until resolving has failed.
	StaleAfter *Duration `yaml:"stale_after"`
	// StaleTTL is the TTL of records that have expired. Default 30s.
	StaleTTL Duration `yaml:"stale_ttl"`
	// Prefetch renews what is asked for in the last tenth of its life. Default true.
	Prefetch *bool `yaml:"prefetch"`
	// Save keeps the cache over a restart, in DATA/cache. Default true.
	Save *bool `yaml:"save"`
	// SaveEvery is how often it is written beside at the end, for a process that is killed. Default 1h.
	SaveEvery Duration `yaml:"save_every"`
}

// Limits of the resolver, against those who make it work for nothing. docs/attacks.md names the attacks.
type Limits struct {
	// Tasks is how many questions may be looked up at a time, a worker. Default 4096.
	Tasks int `yaml:"tasks"`
	// Waiters is how many clients may wait for answers at a time, a worker. Default 20000.
	Waiters int `yaml:"waiters"`
	// ClientWaiters is how many of these one client address may be, unless it has shown by a cookie or a stream that it is there. Default 1000.
	ClientWaiters int `yaml:"client_waiters"`
	// ZoneQueries is how many questions to the servers of one zone may be under way, a worker. Default 500.
	ZoneQueries int `yaml:"zone_queries"`
	// ServerQueries is how many questions to one server may be under way. The next one waits its turn for a second, then another server is asked. Default 1000.
	ServerQueries int `yaml:"server_queries"`
}

// ClientRate bounds what one client may ask of the resolver, answers from the cache included; answers from our own zones are not counted. A client
// is a prefix. Over the limit, queries over UDP are dropped or answered truncated; who has proved its address, by a cookie or a stream, is
// counted apart, so that others cannot use its share up in its name, and gets REFUSED with the reason. The finding client-rate names the prefixes.
type ClientRate struct {
	// PerSecond is how many queries a second one prefix may send, over all workers. Default 0: no limit. The right number is not the same for a household
	// and for a forwarder with a city behind it, and one that is too small cuts off people who did nothing; what costs more than an answer from
	// the cache is bounded by limits. Loopback is not limited.
	PerSecond int `yaml:"per_second"`
	// Burst is how many may come at once. Default: as many as per_second.
	Burst int `yaml:"burst"`
	// Slip answers every so-many-th query over the limit truncated, so that a real client comes again over TCP; 0 never. Default 2.
	Slip *int `yaml:"slip"`
	// Prefix4 is the length of an IPv4 prefix that counts as one client, 8 to 32. Default 32.
	Prefix4 int `yaml:"prefix4"`
	// Prefix6 is the same for IPv6, 32 to 64. Default 56: what a household gets.
	Prefix6 int `yaml:"prefix6"`
	// Exempt are prefixes without limit, such as forwarders that limit their own clients. Default: none beside loopback.
	Exempt []netip.Prefix `yaml:"exempt"`
}

// Discovery tells clients that ask for _dns.resolver.arpa of our encrypted doors (RFC 9462): those under listen.
type Discovery struct {
	// Off tells nothing. Default false; without an encrypted door there is nothing to tell either.
	Off bool `yaml:"off"`
	// Name is what clients are to call us, a name of the certificate. Default: the first name in the certificate.
	Name string `yaml:"name"`
}

// rebinding are the addresses that answers of strangers have no business with: RFC 1918, 6598, 1122, 3927, 4193, 4291, 5771.
var rebinding = [...]string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
	"::/127", "fc00::/7", "fe80::/10",
}

// unasked are the addresses that are no servers of anybody else.
var unasked = [...]string{"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/127", "ff00::/8"}

func prefixes(texts []string) (list []netip.Prefix) {
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

func (r *Recursion) setDefaults() {
	for _, b := range []**bool{&r.Prime, &r.Minimise, &r.CaseRandomisation, &r.IPv4, &r.IPv6, &r.Aggressive, &r.Minimal, &r.Reasons, &r.Validation.Update, &r.Validation.Signal,
		&r.Cache.Prefetch, &r.Cache.Save} {
		presetTo(b, true)
	}
	if r.Forbidden == nil {
		r.Forbidden = prefixes(unasked[:])
	}
	if r.Private == nil {
		r.Private = prefixes(rebinding[:])
	}
	for _, list := range [][]Upstreams{r.Stub, r.Forward} {
		for _, z := range list {
			for i := range z.Servers {
				preset(&z.Servers[i].Protocol, "udp")
				if z.Servers[i].Protocol == "https" {
					preset(&z.Servers[i].Path, "/dns-query")
				}
			}
		}
	}
	for i := range r.Local.Rules {
		r.Local.Rules[i].setDefaults()
	}
	c := &r.Cache
	preset(&c.MaxTTL, Duration(24*time.Hour))
	preset(&c.NegativeTTL, Duration(time.Hour))
	preset(&c.FailureTTL, Duration(5*time.Second))
	presetTo(&c.Stale, Duration(24*time.Hour))
	presetTo(&c.StaleAfter, Duration(1800*time.Millisecond))
	preset(&c.StaleTTL, Duration(30*time.Second))
	preset(&c.SaveEvery, Duration(time.Hour))
	l := &r.Limits
	preset(&l.Tasks, 4096)
	preset(&l.Waiters, 20000)
	preset(&l.ClientWaiters, 1000)
	preset(&l.ZoneQueries, 500)
	preset(&l.ServerQueries, 1000)
	preset(&r.Rate.Burst, r.Rate.PerSecond)
	presetTo(&r.Rate.Slip, 2)
	preset(&r.Rate.Prefix4, 32)
	preset(&r.Rate.Prefix6, 56)
}
