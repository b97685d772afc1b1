package detect

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"anyu/event"
)

// NXShareKind is the kind of the findings of NXShare.
const NXShareKind = "nx-share"

const (
	// nxWindow is how long answers are counted before they are judged: long enough for figures, short enough to tell within half
	// a minute.
	nxWindow = 10 * time.Second
	// nxMinAnswers: a window with fewer answers of a zone says nothing about its share (5 a second).
	nxMinAnswers = 50
	// nxWarmUp windows are needed before a zone has a baseline: two minutes.
	nxWarmUp = 12
	// nxMemory is the weight of a new window in the baseline: it forgets half in about half an hour.
	nxMemory = 1 - 0.99616 // 0.5^(1/180)
	// nxMemoryOpen is the weight while a finding is open: an attack must not become the baseline within hours, a lasting change
	// must within a day.
	nxMemoryOpen = nxMemory / 20
	// nxSigmas and nxRise: the share must be both this many deviations and this much above the baseline. The first spares zones that
	// vary, the second those that never did.
	nxSigmas = 6.0
	nxRise   = 0.20
	// nxMinSigma stands for the deviation of a zone that has shown none yet.
	nxMinSigma = 0.01
	// nxOpenAfter of the last nxOpenOf windows above the threshold open a finding.
	nxOpenAfter = 2
	nxOpenOf    = 3
	// nxCloseAfter windows in a row below the middle between baseline and threshold close it.
	nxCloseAfter = 6
	// nxMaxZones bounds the zones watched (stops: memory filled by a server of a million zones): the first to be asked for; one that was
	// not asked for in nxForget makes room.
	nxMaxZones = 10_000
	nxForget   = time.Hour
)

// NXShare finds zones whose share of NXDOMAIN answers is far above its own baseline: random names are asked for
// (a flood that passes caches, a scan), or something in the zone was deleted that is still wanted.
type NXShare struct {
	names *event.Names
	node  string

	index []int32 // by number of the zone: 1 + place in zones
	zones []nxZone
	began time.Time
}

// nxZone is one zone's window, baseline and state.
type nxZone struct {
	id     uint32
	rcodes [16]uint32 // of this window; the last holds all above
	seen   time.Time  // last window with any answer

	windows  int // judged so far
	mean     float64
	variance float64

	above  uint8 // the last windows, one bit each
	calm   int   // windows in a row that would close
	opened time.Time
}

// NewNXShare returns the detector; names are of the zones in observations.
func NewNXShare(names *event.Names, node string) *NXShare { return &NXShare{names: names, node: node} }

// Observe counts an answer.
func (d *NXShare) Observe(q *event.Query) {
	if q.Has&(event.HasZone|event.HasReply) != event.HasZone|event.HasReply || q.Zone == 0 || q.ReplySize == 0 || q.From == event.FromPolicy {
		return
	}
	if int(q.Zone) >= len(d.index) || d.index[q.Zone] == 0 {
		if !d.track(q.Zone) {
			return
		}
	}
	d.zones[d.index[q.Zone]-1].rcodes[min(q.Rcode, 15)]++
}

// track makes room for a zone.
func (d *NXShare) track(id uint32) bool {
	if len(d.zones) >= nxMaxZones || id >= 1<<24 {
		return false
	}
	for int(id) >= len(d.index) {
		d.index = append(d.index, make([]int32, 1024)...)
	}
	d.zones = append(d.zones, nxZone{id: id})
	d.index[id] = int32(len(d.zones))
	return true
}

// Tick judges the window when it is over.
func (d *NXShare) Tick(now time.Time, report func(event.Finding)) {
	if d.began.IsZero() {
		d.began = now
	}
	if now.Sub(d.began) < nxWindow {
		return
	}
	d.began = now
	for i := range d.zones {
		z := &d.zones[i]
		if f, ok := d.judge(z, now); ok {
			report(f)
		}
		z.rcodes = [16]uint32{}
	}
	d.forget(now)
}

// judge closes a zone's window; a finding comes out where one opens, goes on or ends.
func (d *NXShare) judge(z *nxZone, now time.Time) (event.Finding, bool) {
	total := uint32(0)
	for _, n := range z.rcodes {
		total += n
	}
	if total > 0 {
		z.seen = now
	}
	open := !z.opened.IsZero()
	if total < nxMinAnswers {
		// Too few to tell. An attack that stops altogether ends here too.
		if !open {
			return event.Finding{}, false
		}
		if z.calm++; z.calm < nxCloseAfter {
			return event.Finding{}, false
		}
		return d.end(z, now), true
	}

	share := float64(z.rcodes[3]) / float64(total)
	threshold := z.mean + max(nxSigmas*max(math.Sqrt(z.variance), nxMinSigma), nxRise)
	high := z.windows >= nxWarmUp && share > threshold
	z.above = z.above<<1 | bit(high)
	if share < (z.mean+threshold)/2 {
		z.calm++
	} else {
		z.calm = 0
	}
	baseline := z.mean
	z.learn(share, high || open)
	switch {
	case open && z.calm >= nxCloseAfter:
		return d.end(z, now), true
	case open:
		return d.finding(z, now, share, baseline, threshold, total), true
	case ones(z.above) >= nxOpenAfter:
		z.opened, z.calm = now, 0
		return d.finding(z, now, share, baseline, threshold, total), true
	}
	return event.Finding{}, false
}

// learn moves the baseline towards the share (exponentially weighted mean and variance).
func (z *nxZone) learn(share float64, unusual bool) {
	weight := nxMemory
	if unusual {
		weight = nxMemoryOpen
	}
	z.windows++
	if z.windows <= nxWarmUp { // plain mean at first, so that the first window does not weigh more than the others
		weight = 1 / float64(z.windows)
	}
	off := share - z.mean
	z.mean += weight * off
	z.variance = (1 - weight) * (z.variance + weight*off*off)
}

func (d *NXShare) finding(z *nxZone, now time.Time, share, baseline, threshold float64, total uint32) event.Finding {
	severity := event.Warning
	if share >= 0.9 && total >= 1000*uint32(nxWindow/time.Second) {
		severity = event.Critical // a flood of random names at a thousand a second
	}
	return event.Finding{
		Kind: NXShareKind, Subject: d.names.Name(z.id), Node: d.node, Severity: severity, Opened: z.opened, Updated: now,
		Facts: []event.Fact{
			{Name: "share", Value: percent(share)},
			{Name: "baseline", Value: percent(baseline)},
			{Name: "threshold", Value: percent(threshold)},
			{Name: "volume", Value: strconv.FormatFloat(float64(total)/nxWindow.Seconds(), 'f', 1, 64) + "/s"},
			{Name: "top-rcodes", Value: z.topRcodes()},
		},
	}
}

// end closes the finding of a zone. Its facts stay those of the last time it was seen, so none are given.
func (d *NXShare) end(z *nxZone, now time.Time) event.Finding {
	f := event.Finding{
		Kind: NXShareKind, Subject: d.names.Name(z.id), Node: d.node, Severity: event.Warning,
		Opened: z.opened, Updated: now, Closed: now,
	}
	z.opened, z.above, z.calm = time.Time{}, 0, 0
	return f
}

// rcodeWords are for topRcodes; what is beyond stands for all above.
var rcodeWords = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}

// topRcodes lists the three most frequent, as "NXDOMAIN 812, NOERROR 90".
func (z *nxZone) topRcodes() string {
	order := make([]int, len(z.rcodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(z.rcodes[b], z.rcodes[a]) })
	text := ""
	for _, r := range order[:3] {
		if z.rcodes[r] == 0 {
			break
		}
		word := "other"
		if r < len(rcodeWords) {
			word = rcodeWords[r]
		}
		if text != "" {
			text += ", "
		}
		text += word + " " + strconv.Itoa(int(z.rcodes[r]))
	}
	return text
}

// forget makes room when the table is full: zones that nobody asked for lately go.
func (d *NXShare) forget(now time.Time) {
	if len(d.zones) < nxMaxZones {
		return
	}
	kept := d.zones[:0]
	clear(d.index)
	for _, z := range d.zones {
		if now.Sub(z.seen) < nxForget || !z.opened.IsZero() {
			kept = append(kept, z)
			d.index[z.id] = int32(len(kept))
		}
	}
	d.zones = kept
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// ones counts the windows above among the last nxOpenOf.
func ones(above uint8) (n int) {
	for i := range nxOpenOf {
		n += int(above >> i & 1)
	}
	return n
}
