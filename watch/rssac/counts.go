package rssac

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"anyu/event"
)

// counts is what was counted of one day. What is exported is what is kept in the state file.
type counts struct {
	Service string
	Day     int64 // since 1970

	// [transport][family]: UDP and TCP, IPv4 and IPv6.
	Queries, Responses [2][2]uint64
	// [transport][bin]
	RequestSizes  [2][requestBins]uint64
	ResponseSizes [2][responseBins]uint64
	Rcodes        map[uint16]uint64
	Versions      []Version

	Encrypted uint64 // queries over TLS, HTTPS and QUIC, which RSSAC002 does not know
	Unsized   uint64 // messages seen of which the length is not known
	Dropped   uint64
	Watched   []span

	Sources sources
}

// Bins are of 16 octets; the last ones are open.
const (
	requestBins  = 288/16 + 1
	responseBins = 4096/16 + 1
)

// span is a time that was watched, Unix seconds, [From, To).
type span struct{ From, To int64 }

// maxSpans bounds the list (stops: a node that is restarted each second for a day); the longest gaps are then lost, never time that was not watched gained.
const maxSpans = 1000

// Version is a version of a zone that was published.
type Version struct {
	Zone    string `json:"zone"`
	Serial  uint32 `json:"serial"`
	Seconds int64  `json:"load_seconds"`
	Size    int    `json:"size"` // octets; 0: unknown
}

// maxVersions bounds what is kept of a day (stops: memory and files filled by a zone that changes each second).
const maxVersions = 2000

func begin(service string, at int64) *counts {
	k := &counts{Service: service, Day: at, Rcodes: map[uint16]uint64{}}
	k.Sources.begin()
	return k
}

func (k *counts) date() time.Time { return time.Unix(k.Day*86400, 0).UTC() }
func (k *counts) end() time.Time  { return k.date().Add(day) }

// observe counts an observation.
func (k *counts) observe(q *event.Query) {
	if q.Has&event.HasClient == 0 {
		return // of which family is not known
	}
	transport := 0
	switch {
	case q.Transport == event.TCP:
		transport = 1
	case q.Transport != event.UDP:
		k.Encrypted++
		return
	}
	family := 1
	if isIPv4(&q.Client) {
		family = 0
	}
	if q.Has&event.HasQuery != 0 {
		k.Queries[transport][family]++
		k.Sources.add(&q.Client)
		if q.QuerySize > 0 {
			k.RequestSizes[transport][min(int(q.QuerySize)/16, requestBins-1)]++
		} else {
			k.Unsized++
		}
	}
	// "Only responses sent by the server": what it dropped on purpose has no size.
	if q.Has&event.HasReply != 0 && q.ReplySize > 0 {
		k.Responses[transport][family]++
		k.ResponseSizes[transport][min(int(q.ReplySize)/16, responseBins-1)]++
		k.Rcodes[q.Rcode&0xFFF]++
	}
}

func isIPv4(a *[16]byte) bool {
	return binary.BigEndian.Uint64(a[:]) == 0 && binary.BigEndian.Uint32(a[8:]) == 0xFFFF
}

// resume begins to watch: what was before now is not known to be counted.
func (k *counts) resume(now time.Time) {
	if len(k.Watched) < maxSpans {
		k.Watched = append(k.Watched, span{now.Unix(), now.Unix()})
	}
}

// asleep is how long a process may not get to its clock and still has counted all that came.
const asleep = 60

// watch notes that the time up to now was watched.
func (k *counts) watch(now time.Time) {
	at := now.Unix()
	if n := len(k.Watched); n > 0 && at >= k.Watched[n-1].From && at-k.Watched[n-1].To <= asleep {
		k.Watched[n-1].To = max(at, k.Watched[n-1].To)
		return
	}
	k.resume(now) // the clock jumped, or the machine slept
}

// missing is how much of the day up to a moment was not watched.
func (k *counts) missing(to time.Time) time.Duration {
	at, end := k.Day*86400, min(to.Unix(), (k.Day+1)*86400)
	gone := int64(0)
	spans := slices.SortedFunc(slices.Values(k.Watched), func(a, b span) int { return cmp.Compare(a.From, b.From) })
	for _, s := range spans {
		gone += max(0, min(s.From, end)-at)
		at = max(at, s.To)
	}
	gone += max(0, end-at)
	if gone <= 2 {
		return 0 // the clock is looked at once a second
	}
	return time.Duration(gone) * time.Second
}

// served notes a version, once.
func (k *counts) served(v Version) {
	for _, have := range k.Versions {
		if have.Zone == v.Zone && have.Serial == v.Serial {
			return
		}
	}
	if len(k.Versions) < maxVersions {
		k.Versions = append(k.Versions, v)
	}
}
