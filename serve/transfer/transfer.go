// Package transfer moves zones between servers: AXFR and IXFR in and out (RFC 5936, RFC 1995, over TCP, TLS and QUIC:
// RFC 9103, RFC 9250), NOTIFY (RFC 1996), the timers of a secondary (RFC 1034, Section 4.3.5), a journal on disk, and
// catalog zones (RFC 9432).
//
// The machines are pure and take `now` as an argument: Receiver (messages of a transfer in, versions of the zone out),
// Schedule (what a secondary does next), packer and the answers (a version or a history in, messages out), catalog.go. The
// edges are thin: journal.go and snapshot.go touch files, fetch.go and notifier.go sockets, keeper.go runs one secondary,
// Room joins them.
//
// The package promises: a version is on disk before it is served; a zone that is half transferred, inconsistent, outside
// its policy (ZONEMD) or over a limit is never served and the old one goes on; a transfer of any size holds one message
// in memory; nobody gets a zone who is not allowed by address or key. It refuses to serve an expired zone.
//
// Limits today: a history is sent as the sequence of its steps, never condensed; AXFR over UDP is refused and IXFR over
// UDP answered with the SOA alone; a primary's history begins with the first change after its first start; addresses of
// other servers are addresses, never names, so that no answer of the DNS decides who is trusted.
package transfer

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/filter"
)

// Zone says how one zone is moved.
type Zone struct {
	Name wire.Name
	// Primaries make it a secondary. They are tried in turn.
	Primaries []Remote
	// Secondaries get a NOTIFY after each change.
	Secondaries []Remote
	// AllowTransfer may fetch it, AllowNotify may send NOTIFY beside the primaries.
	AllowTransfer, AllowNotify Who
	// Catalog: its members are secondaries of the same primaries.
	Catalog bool
	// Accept is the policy that a version must meet before it is served; nil accepts all.
	Accept func(*zone.Zone) error
}

// Remote is another server.
type Remote struct {
	Address netip.AddrPort
	Key     *tsig.Key   // signs what we send; nil: unsigned
	TLS     *tls.Config // nil: plain TCP and UDP
}

func (r *Remote) String() string {
	s := r.Address.String()
	if r.TLS != nil {
		s += " (tls " + r.TLS.ServerName + ")"
	}
	return s
}

// same tells whether two remotes are the same server asked in the same way.
func (r *Remote) same(o *Remote) bool {
	if r.Address != o.Address || (r.TLS == nil) != (o.TLS == nil) || r.TLS != nil && r.TLS.ServerName != o.TLS.ServerName {
		return false
	}
	if r.Key == nil || o.Key == nil {
		return r.Key == o.Key
	}
	return r.Key.Name.Equal(o.Key.Name) && r.Key.Algorithm == o.Key.Algorithm && bytes.Equal(r.Key.Secret, o.Key.Secret)
}

// Who is a list of addresses and keys. The zero Who is nobody.
type Who struct {
	Addresses filter.ACL
	Keys      []wire.Name
}

// Allows tells whether a client is in the list: by its address, or by the key that signed what it sent.
func (w *Who) Allows(client netip.Addr, key *tsig.Key) bool {
	if w.Addresses.Contains(client) {
		return true
	}
	return key != nil && slices.ContainsFunc(w.Keys, key.Name.Equal)
}

// Limits bound what a zone and its history may take. Zero fields are replaced by their defaults.
type Limits struct {
	// Bytes is the most octets of messages that one transfer may bring. Default 8 GiB. Stops a primary that never ends.
	Bytes int64
	// Records is the same for records. Default 200,000,000.
	Records int64
	// Message is how long the next message of a transfer may take, Transfer the whole. Defaults 30 s and 2 h.
	Message, Transfer time.Duration
	// Journal is the most a zone's history takes on disk; the oldest goes first. Default 64 MiB.
	Journal int64
	// Transfers is the number of zones fetched at a time. Default 16. Stops a catalog of 100,000 members from opening as
	// many connections.
	Transfers int
	// Members is the most members a catalog may have. Default 1,000,000.
	Members int
}

func (l Limits) withDefaults() Limits {
	preset(&l.Bytes, 8<<30)
	preset(&l.Records, 200_000_000)
	preset(&l.Message, 30*time.Second)
	preset(&l.Transfer, 2*time.Hour)
	preset(&l.Journal, 64<<20)
	preset(&l.Transfers, 16)
	preset(&l.Members, 1_000_000)
	return l
}

func preset[T int | int64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// newer compares serial numbers. RFC 1982, Section 3.2: modulo 2^32, and undefined, here false, for those half the circle
// apart. (servers.md 5.1, case 72)
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// soaOf returns the TTL and RDATA of a version's SOA.
func soaOf(z *zone.Zone) (ttl uint32, rdata []byte) {
	set, _ := z.ApexNode().Set(wire.TypeSOA)
	return set.TTL(), set.First()
}
