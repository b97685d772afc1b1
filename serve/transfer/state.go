package transfer

import (
	"slices"
	"time"

	"anyu/event"
)

// Kinds of findings.
const (
	kindTransfer = "zone-transfer" // a secondary cannot be refreshed
	kindExpired  = "zone-expired"
	kindJournal  = "zone-journal" // the history cannot be written
	kindCatalog  = "catalog-broken"
)

const (
	rolePrimary   = "primary"
	roleSecondary = "secondary"
)

// State is what a person wants to know of how a zone moves.
type State struct {
	Name          string    `json:"name"`
	Role          string    `json:"role"`
	Catalog       string    `json:"catalog,omitempty"` // the catalog that brought it
	Serial        uint32    `json:"serial"`
	Names         int       `json:"names,omitempty"` // these five of a secondary
	Records       int       `json:"records,omitempty"`
	Octets        int64     `json:"octets,omitempty"`
	Signed        bool      `json:"signed,omitempty"`
	Loaded        time.Time `json:"loaded,omitzero"`
	Primary       string    `json:"primary,omitempty"`        // where the version came from
	PrimarySerial uint32    `json:"primary_serial,omitempty"` // what a primary last said it has
	Heard         time.Time `json:"heard,omitzero"`           // when a version newer than ours was first heard of, by NOTIFY or from a primary
	HeardSerial   uint32    `json:"heard_serial,omitempty"`   // and which
	Doing         string    `json:"doing,omitempty"`          // loading, asking, fetching
	Refreshed     time.Time `json:"refreshed,omitzero"`       // when a primary last confirmed the version
	Next          time.Time `json:"next,omitzero"`            // when it asks again
	Expires       time.Time `json:"expires,omitzero"`
	Expired       bool      `json:"expired,omitempty"`
	Error         string    `json:"error,omitempty"` // of the last try, empty after a success
	Steps         int       `json:"steps"`           // versions back that IXFR can start from
	In            Count     `json:"in"`
	Out           Count     `json:"out"`
	Members       int       `json:"members,omitempty"` // of a catalog
	Secondaries   []Told    `json:"secondaries,omitempty"`
}

// Count sums transfers in one direction.
type Count struct {
	AXFR     uint64    `json:"axfr"`
	IXFR     uint64    `json:"ixfr"`
	UpToDate uint64    `json:"up_to_date"`
	Failed   uint64    `json:"failed"`
	Bytes    int       `json:"last_bytes"`
	Took     float64   `json:"last_took_seconds,omitempty"`
	Last     time.Time `json:"last,omitzero"`
}

// Told is how far one secondary was told about the newest version.
type Told struct {
	Address string    `json:"address"`
	Serial  uint32    `json:"serial"`
	Tries   int       `json:"tries"`
	Acked   time.Time `json:"acked,omitzero"` // zero while no answer came
	Error   string    `json:"error,omitempty"`
}

func (c *Count) add(kind string, bytes int, now time.Time, err error) {
	switch {
	case err != nil:
		c.Failed++
		return
	case kind == kindAXFR:
		c.AXFR++
	case kind == kindIXFR:
		c.IXFR++
	default:
		c.UpToDate++
		return
	}
	c.Bytes, c.Last = bytes, now.UTC()
}

// note changes the state.
func (e *entry) note(change func(*State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.state)
}

func (e *entry) sent(kind string, bytes int, now time.Time, err error) {
	e.note(func(s *State) { s.Out.add(kind, bytes, now, err) })
}

// hear notes that there is a version newer than the one served.
func (e *entry) hear(serial uint32, now time.Time) {
	e.note(func(s *State) {
		if s.HeardSerial != serial && (s.Loaded.IsZero() || newer(serial, s.Serial)) {
			s.Heard, s.HeardSerial = now.UTC(), serial
		}
	})
}

// heardOf is when a version was heard of, zero if it was not.
func (e *entry) heardOf(serial uint32) (at time.Time) {
	e.note(func(s *State) {
		if s.HeardSerial == serial {
			at = s.Heard
		}
	})
	return at
}

// States are those of all zones, by name.
func (r *Room) States() []State {
	list := r.all()
	states := make([]State, len(list))
	for i, e := range list {
		e.mu.Lock()
		states[i] = e.state
		states[i].Secondaries = slices.Clone(e.state.Secondaries)
		e.mu.Unlock()
	}
	return states
}

// troubled opens a finding about a zone, settled closes it.
func (r *Room) troubled(e *entry, kind string, err error, facts ...event.Fact) {
	r.log.Warn("zone is in trouble", "zone", e.text, "kind", kind, "error", err)
	severity := event.Warning
	if kind == kindExpired || e.zone.Load() == nil {
		severity = event.Critical
	}
	r.report(event.Finding{Kind: kind, Subject: e.text, Severity: severity, Facts: append([]event.Fact{{Name: "error", Value: err.Error()}}, facts...)})
}

func (r *Room) settled(e *entry, kind string) {
	r.report(event.Finding{Kind: kind, Subject: e.text, Closed: r.now().UTC()})
}

func (r *Room) report(f event.Finding) {
	if r.opts.Findings == nil {
		return
	}
	now := r.now().UTC()
	f.Node, f.Updated = r.opts.Node, now
	if f.Open() {
		f.Opened = now
	}
	r.opts.Findings.Report(f)
}
