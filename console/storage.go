package console

import (
	"net/http"
	"slices"
	"time"

	"anyu/watch/store"
)

// Stores tells what is kept, and where.
type Stores interface {
	Storage(now time.Time) (Storage, error)
}

// Storage is what is kept of the query log, how it grows, and what else keeps it.
type Storage struct {
	Days     []StoredDay   `json:"days"`   // of segments, the oldest first
	Octets   int64         `json:"octets"` // of the whole log
	Oldest   time.Time     `json:"oldest,omitzero"`
	Keep     int           `json:"keep_days"`
	Limit    int64         `json:"limit_octets"`        // log.space; 0: none
	Free     int64         `json:"free_octets"`         // of the disk; negative: unknown
	Reserve  int64         `json:"reserve_octets"`      // of the disk, that the log leaves free
	Sampled  int64         `json:"one_of"`              // that is logged of so many questions now, where no rule fits; 1: all
	Rules    int           `json:"rules"`               // log.rules
	PerDay   int64         `json:"octets_per_day"`      // mean of the last whole days; 0: there are none
	Level    int64         `json:"octets_at_retention"` // that the log will have when days begin to leave for their age; 0: unknown
	Full     time.Time     `json:"full,omitzero"`       // when limit or disk are reached before that
	Store    *store.Status `json:"clickhouse,omitempty"`
	Backup   time.Time     `json:"backup,omitzero"` // the last one that `anyu backup` made
	BackupTo string        `json:"backup_to,omitempty"`
}

// StoredDay is one day (UTC) of the log.
type StoredDay struct {
	Date   string `json:"date"`
	Octets int64  `json:"octets"`
}

// forecastDays are the days whose mean the forecast is made of.
const forecastDays = 7

// Forecast fills in what follows from the days, which the last one of is not over: how the log grows, where that ends, and what is reached first.
func (s *Storage) Forecast(now time.Time) {
	whole := s.Days
	if n := len(whole); n > 0 && whole[n-1].Date == now.UTC().Format(time.DateOnly) {
		whole = whole[:n-1]
	}
	whole = whole[max(0, len(whole)-forecastDays):]
	if len(whole) == 0 {
		return
	}
	sum := int64(0)
	for _, d := range whole {
		sum += d.Octets
	}
	first, err := time.Parse(time.DateOnly, whole[0].Date)
	if err != nil {
		return
	}
	// Days without rows count as well: from the first of them to yesterday.
	days := max(1, int64(now.UTC().Truncate(24*time.Hour).Sub(first)/(24*time.Hour)))
	s.PerDay = sum / days
	s.Level = s.PerDay * int64(s.Keep)
	room := int64(-1)
	if s.Free >= 0 {
		room = max(s.Free-s.Reserve, 0)
	}
	if left := s.Limit - s.Octets; s.Limit > 0 && (room < 0 || left < room) {
		room = max(left, 0)
	}
	if room >= 0 && s.PerDay > 0 && s.Level-s.Octets > room {
		s.Full = now.Add(time.Duration(float64(room) / float64(s.PerDay) * 24 * float64(time.Hour)))
	}
}

const shownDays = 31

type storageView struct {
	*page
	S      Storage
	Shown  []StoredDay // the newest first
	Most   int64
	Lag    time.Duration
	Days   int
	Ledger *Ledger
	None   bool
}

func (c *Console) storage(p *page) error {
	p.Title = p.T("nav.storage")
	v := storageView{page: p, Ledger: c.ledgerNow(), None: c.opts.Stores == nil || c.opts.Trail == nil}
	if v.None {
		return p.show("storage", http.StatusOK, v)
	}
	var err error
	if v.S, err = c.opts.Stores.Storage(p.now); err != nil {
		return err
	}
	v.Days = len(v.S.Days)
	v.Shown = slices.Clone(v.S.Days[max(0, v.Days-shownDays):])
	slices.Reverse(v.Shown)
	for _, d := range v.Shown {
		v.Most = max(v.Most, d.Octets)
	}
	if v.S.Store != nil && !v.S.Store.Since.IsZero() {
		v.Lag = p.now.Sub(v.S.Store.Since).Round(time.Second)
	}
	return p.show("storage", http.StatusOK, v)
}

func (c *Console) apiStorage(p *page) error {
	if c.opts.Stores == nil {
		return &httpError{http.StatusNotFound, "error.missing"}
	}
	s, err := c.opts.Stores.Storage(p.now)
	if err != nil {
		return err
	}
	p.json(http.StatusOK, s)
	return nil
}
