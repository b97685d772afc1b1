// Package config is the configuration of a node: one tree, read strictly from YAML. The struct is the reference: the
// comment of each field says what it means, its unit, its default and what follows from it; docs/config.md is made from
// these comments, and a test says whether it is current.
//
// The package promises: an unknown key, a wrong type or an impossible value is an error with file, line and column.
// It refuses to act: it opens nothing but the file it reads and the files that hold secrets.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole tree. The zero value with defaults filled in (see Default) is a working node on loopback.
type Config struct {
	// Node is the name of this node in figures, logs and findings. Default: the host's name.
	Node string `yaml:"node"`
	// Data is the folder for history, journals, accounts and the control socket. Default ./anyu-data. One node a folder.
	Data string `yaml:"data"`
	// User is whose account the process takes once its sockets are open, when it was started as root. Default: none, it stays
	// what it is. Not needed where the service manager gives CAP_NET_BIND_SERVICE (packaging/anyu.service).
	User string `yaml:"user"`
	// Language of reports and of the console where the browser does not say: zh or en. Default en.
	Language string `yaml:"language"`

	Listen   Listen   `yaml:"listen"`
	Console  Console  `yaml:"console"`
	Identity Identity `yaml:"identity"`
	Answers  Answers  `yaml:"answers"`
	Clients  Clients  `yaml:"clients"`
	Rate     Rate     `yaml:"rate"`
	// Recursion is the resolver.
	Recursion Recursion `yaml:"recursion"`
	Log       Log       `yaml:"log"`
	// Ledger proves that the log, acts and findings are unaltered (docs/ledger.md).
	Ledger   Ledger   `yaml:"ledger"`
	Figures  Figures  `yaml:"figures"`
	RSSAC002 RSSAC002 `yaml:"rssac002"`
	Notify   Notify   `yaml:"notify"`
	// Mail is how mails are sent.
	Mail Mail `yaml:"mail"`

	// Taps are other servers that are watched, and interfaces. What they do is counted and logged as what this server itself does, each under its own name.
	Taps []Tap `yaml:"taps"`
	// Dnstap tells another program what this server does.
	Dnstap Dnstap `yaml:"dnstap"`
	// Keys are the TSIG keys (RFC 8945) that zones name.
	Keys []Key `yaml:"keys"`
	// Zones are served authoritatively.
	Zones []Zone `yaml:"zones"`
}

// Listen says where queries come in.
type Listen struct {
	// DNS are addresses for UDP and TCP. Default 127.0.0.1:5300. Ports below 1024 need CAP_NET_BIND_SERVICE, not root.
	DNS []netip.AddrPort `yaml:"dns"`
	// TLS are addresses for DNS over TLS and zone transfer over TLS (RFC 7858, RFC 9103). Default: none. Needs a certificate.
	TLS []netip.AddrPort `yaml:"tls"`
	// HTTPS are addresses for DNS over HTTPS, HTTP/2 and HTTP/3 (RFC 8484). Default: none. Needs a certificate.
	HTTPS []netip.AddrPort `yaml:"https"`
	// QUIC are addresses for DNS over QUIC (RFC 9250). Default: none. Needs a certificate.
	QUIC []netip.AddrPort `yaml:"quic"`
	// PlainHTTP are addresses for DNS over HTTP without TLS, for the reverse proxies in HTTPProxies only. Default: none.
	PlainHTTP []netip.AddrPort `yaml:"plain_http"`
	// HTTPPath is the path of the DNS API. Default /dns-query.
	HTTPPath string `yaml:"http_path"`
	// Certificate and Key are PEM files. A changed pair is taken without a restart, a broken one is refused.
	Certificate string `yaml:"certificate"`
	// Key is the private key of Certificate.
	Key string `yaml:"key"`
	// Proxies must send a PROXYv2 header before each UDP message and stream; from others such a header is dropped. Default: none.
	Proxies []netip.Prefix `yaml:"proxies"`
	// HTTPProxies may use PlainHTTP; their Forwarded or X-Forwarded-For header names the client. Default: none.
	HTTPProxies []netip.Prefix `yaml:"http_proxies"`
	// Workers is the number of UDP sockets an address gets, each with its own thread. Default: the CPUs the process may use.
	Workers int `yaml:"workers"`
	// PinCPUs binds each worker to one CPU. Default false: the scheduler moves them.
	PinCPUs bool `yaml:"pin_cpus"`
	// Connections is the limit of TCP, TLS, HTTP and QUIC connections in all. Default 10000. When full the idlest is closed.
	Connections int `yaml:"connections"`
	// ClientConnections is the same for one client (an IPv4 address, an IPv6 /56). Default 500.
	ClientConnections int `yaml:"client_connections"`
	// Idle is how long a connection may be silent. Default 10s.
	Idle Duration `yaml:"idle"`
}

// Console is the web console, with /metrics and the PromQL API.
type Console struct {
	// Listen is its address. Default 127.0.0.1:8053. Beyond loopback it is refused until a user exists (anyu user add).
	Listen netip.AddrPort `yaml:"listen"`
	// Off closes it. Default false.
	Off bool `yaml:"off"`
	// Hosts are the names that requests may use in Host, besides loopback and the address itself. Default: none. Others
	// are refused: a page elsewhere could reach the console through a name it controls (DNS rebinding).
	Hosts []string `yaml:"hosts"`
	// Certificate and Key are PEM files for HTTPS. Default: none, plain HTTP.
	Certificate string `yaml:"certificate"`
	// Key is the private key of Certificate.
	Key string `yaml:"key"`
}

// Identity is what the server tells about itself. All of it is hidden by default.
type Identity struct {
	// NSID is sent to who asks for it (RFC 5001). Default: none.
	NSID string `yaml:"nsid"`
	// Version answers version.bind and version.server in class CH. Default: refused.
	Version string `yaml:"version"`
	// Hostname answers hostname.bind and id.server in class CH. Default: refused.
	Hostname string `yaml:"hostname"`
}

// Answers shapes replies.
type Answers struct {
	// Payload is the largest reply over UDP, octets, 512 to 4096. Default 1232, which no common path fragments.
	Payload int `yaml:"payload"`
	// Compiled is the memory for finished answers, a worker. Default 64MiB. Less means more answers made anew.
	Compiled Size `yaml:"compiled"`
	// Cookies turns server cookies on (RFC 7873, RFC 9018). Default true. A client with a valid cookie is not rate limited.
	Cookies *bool `yaml:"cookies"`
	// CookieSecret is 32 hexadecimal digits, or the name of a file with them. Servers behind one address share it.
	// Default: made at the first start and kept in the data folder.
	CookieSecret string `yaml:"cookie_secret"`
}

// Clients says who may ask.
type Clients struct {
	// Allow are the prefixes that may ask for our zones. Default: everybody.
	Allow []netip.Prefix `yaml:"allow"`
	// Drop are the prefixes that get no reply to anything, whatever the other lists say: for who does not stop asking when refused. Default: none.
	Drop []netip.Prefix `yaml:"drop"`
	// Recursion are the prefixes that may ask for recursion, beside loopback. Default: none. An open resolver is a weapon (RFC 5358).
	Recursion []netip.Prefix `yaml:"recursion"`
}

// Rate limits answers over UDP to one network, so that this server is no weapon against a spoofed victim.
type Rate struct {
	// PerSecond is the number of equal answers a second to one IPv4 /24 or IPv6 /56; 0 is no limit. Default 200. Loopback and
	// clients with a valid cookie are not limited.
	PerSecond *int `yaml:"per_second"`
	// Slip sends every so-many-th limited answer truncated, so that a real client comes again over TCP; 0 never. Default 2.
	Slip *int `yaml:"slip"`
}

// Log is the query log.
type Log struct {
	// Queries turns it on. Default true. It holds client addresses.
	Queries *bool `yaml:"queries"`
	// Days is how long it is kept. Default 190, which covers the six months that Chinese law asks for; below 184 a finding says so.
	Days int `yaml:"days"`
	// Space is the most it may take on disk; the oldest goes first, and a finding says so. Default 0: no limit.
	Space Size `yaml:"space"`
	// Reserve is how much of the disk is left free. When there is less, what is older than six months goes first, then only a part of the questions is logged, and a
	// finding says so. Default: a 50th of the disk, 4GiB at most.
	Reserve Size `yaml:"reserve"`
	// Sync is how often rows are made safe on disk: what a crash loses at most. 100ms to 1m, default 1s.
	Sync Duration `yaml:"sync"`
	// Sample logs one question of so many, by chance, where no rule fits. The row says for how many it stands, and a finding is open. Default 1: all.
	Sample int `yaml:"sample"`
	// Rules say for whom more or less is logged; the first that fits a question counts. 64 at most. Default: none.
	Rules []LogRule `yaml:"rules"`
	// Without names the columns that are not kept, of docs/formats/log.md: for example [client_port, answers]. Default [id]; [] keeps all.
	Without []string `yaml:"without"`
	// Clients is how clients stand in it.
	Clients LogClients `yaml:"clients"`
	// ClickHouse also keeps the log in a cluster.
	ClickHouse ClickHouse `yaml:"clickhouse"`
}

// Figures are the four figures over time.
type Figures struct {
	// Days is how long they are kept at 15 s. Default 30.
	Days int `yaml:"days"`
	// Networks are client prefixes that are counted by name, 64 at most, for example one a customer: anyu_network_outcomes_total in /metrics and PromQL. A client counts in the longest
	// that it is in, others as `other`. Default: none.
	Networks []netip.Prefix `yaml:"networks"`
}

// RSSAC002 are the measurements that operators of root servers publish each day: docs/formats/rssac002.md. Files are below DATA/rssac002.
type RSSAC002 struct {
	// Service is the name they are published under, for example l.root-servers.net. Default: none, nothing is measured.
	Service string `yaml:"service"`
	// Version is what the files say they follow: rssac002v3, rssac002v4 or rssac002v5. Default rssac002v4.
	Version string `yaml:"version"`
	// Zones are those whose load-time and zone-size are told; they must be among zones. Default: the root zone, if it is served.
	Zones []string `yaml:"zones"`
	// Source is whose traffic is measured: self, or the name of a tap. Default self.
	Source string `yaml:"source"`
}

// Notify sends findings out of the box.
type Notify struct {
	// Webhooks are URLs that get each finding as JSON by POST. Default: none.
	Webhooks []string `yaml:"webhooks"`
	// Syslog is where findings go as RFC 5424 messages: udp://HOST:PORT, tcp://HOST:PORT or unix:PATH. Default: none.
	Syslog string `yaml:"syslog"`
	// Mail are addresses that get each finding, by the server under mail. Default: none.
	Mail []string `yaml:"mail"`
}

// Tap is a place where observations of others come in.
type Tap struct {
	// Name is that of the source in figures, logs and findings: letters, digits, `-`, `_` and `.`. `self` is this server, `other` is taken, too.
	Name string `yaml:"name"`
	// From says what comes in: `dnstap+unix:PATH`, a socket that is made and that the other server writes dnstap into; `dnstap+tcp:ADDR:PORT` and
	// `dnstap+tls:ADDR:PORT`, a port to listen on; `capture:INTERFACE`, the packets of an interface (needs CAP_NET_RAW).
	From string `yaml:"from"`
	// Node is what the observed server is called in figures and logs. Default: the name of this node.
	Node string `yaml:"node"`
	// Group may write into the socket of dnstap+unix, beside the account of anyu. Default: that account's group.
	Group string `yaml:"group"`
	// Clients may connect to dnstap+tcp and dnstap+tls. Default: loopback. Whoever may, writes into the query log.
	Clients []netip.Prefix `yaml:"clients"`
	// Certificate of dnstap+tls, a PEM file. Default: that of listen.
	Certificate string `yaml:"certificate"`
	// Key is the private key of Certificate.
	Key string `yaml:"key"`
	// ClientRoots is a PEM file of certificate authorities; who sends must have a certificate of one of them. Default: clients decides alone.
	ClientRoots string `yaml:"client_roots"`
	// Ports are those that speak DNS on a captured interface. Default: 53, 5353 and 5355.
	Ports []int `yaml:"ports"`
}

// Dnstap sends this server's own observations as dnstap, queries and responses.
type Dnstap struct {
	// To is where somebody listens: `unix:PATH` or `tcp:ADDR:PORT`. Default: nobody is told. What is not taken is dropped and counted.
	To string `yaml:"to"`
	// Identity is what this server calls itself there. Default: the name of the node.
	Identity string `yaml:"identity"`
}

// Key is a TSIG key.
type Key struct {
	// Name is the name both sides use.
	Name string `yaml:"name"`
	// Algorithm: hmac-sha256 (default), hmac-sha224, hmac-sha384, hmac-sha512, or hmac-sha1, which both sides should leave.
	Algorithm string `yaml:"algorithm"`
	// Secret in base64. It is never logged or shown.
	Secret Secret `yaml:"secret"`
	// SecretFile is a file with the secret, instead of Secret.
	SecretFile string `yaml:"secret_file"`
}

// Zone is one zone.
type Zone struct {
	// Name of the zone.
	Name string `yaml:"name"`
	// File is the master file of a primary zone, or the place where a secondary keeps a readable copy (optional there).
	File string `yaml:"file"`
	// Primaries make this a secondary: where the zone comes from, tried in turn.
	Primaries []Remote `yaml:"primaries"`
	// Secondaries get a NOTIFY after each change (RFC 1996).
	Secondaries []Remote `yaml:"secondaries"`
	// AllowTransfer may fetch the zone: prefixes, or `key:NAME`. Default: nobody.
	AllowTransfer []string `yaml:"allow_transfer"`
	// AllowNotify may send NOTIFY beside the primaries: prefixes, or `key:NAME`. Default: nobody.
	AllowNotify []string `yaml:"allow_notify"`
	// AllowQuery may ask for this zone. Default: who may ask at all.
	AllowQuery []netip.Prefix `yaml:"allow_query"`
	// Catalog makes this a catalog zone (RFC 9432): its members are served as secondaries of the same primaries, to
	// those who may ask for the catalog.
	Catalog bool `yaml:"catalog"`
	// ZONEMD says what a digest means (RFC 8976): off, check (default: a wrong digest is refused, a missing one, or one of an unknown algorithm,
	// accepted) or require.
	ZONEMD string `yaml:"zonemd"`
}

// Remote is another server.
type Remote struct {
	// Address with port; port 53, or 853 with TLS, when left out.
	Address string `yaml:"address"`
	// Key is the name of the TSIG key to sign with. Default: unsigned.
	Key string `yaml:"key"`
	// TLS is the name the server's certificate must have (RFC 9103). Default: plain TCP.
	TLS string `yaml:"tls"`
	// TLSRoots is a PEM file of the certificate authorities to trust for TLS. Default: those of the system.
	TLSRoots string `yaml:"tls_roots"`
}

// Default fills in what is not set.
func (c *Config) Default() {
	preset(&c.Data, "./anyu-data")
	preset(&c.Language, "en")
	if len(c.Listen.DNS) == 0 {
		c.Listen.DNS = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5300")}
	}
	preset(&c.Listen.HTTPPath, "/dns-query")
	preset(&c.Listen.Connections, 10_000)
	preset(&c.Listen.ClientConnections, 500)
	preset(&c.Listen.Idle, Duration(10*time.Second))
	preset(&c.Console.Listen, netip.MustParseAddrPort("127.0.0.1:8053"))
	preset(&c.Answers.Payload, 1232)
	preset(&c.Answers.Compiled, 64<<20)
	presetTo(&c.Answers.Cookies, true)
	if c.Clients.Allow == nil {
		c.Clients.Allow = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	}
	c.Recursion.setDefaults()
	presetTo(&c.Rate.PerSecond, 200)
	presetTo(&c.Rate.Slip, 2)
	presetTo(&c.Log.Queries, true)
	preset(&c.Log.Days, 190)
	preset(&c.Mail.TLS, "starttls")
	preset(&c.Ledger.MailEvery, Duration(24*time.Hour))
	preset(&c.Log.Sync, Duration(time.Second))
	preset(&c.Log.Sample, 1)
	if c.Log.Without == nil {
		c.Log.Without = []string{"id"}
	}
	c.Log.Clients.setDefaults()
	c.Log.ClickHouse.setDefaults()
	preset(&c.Figures.Days, 30)
	c.RSSAC002.setDefaults(c)
	for i := range c.Taps {
		c.Taps[i].setDefaults(c)
	}
	for i := range c.Keys {
		preset(&c.Keys[i].Algorithm, "hmac-sha256")
	}
	for i := range c.Zones {
		preset(&c.Zones[i].ZONEMD, "check")
	}
}

func preset[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func presetTo[T any](v **T, value T) {
	if *v == nil {
		*v = &value
	}
}
