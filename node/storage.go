package node

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyu/console"
	"anyu/watch/trail"
)

// Storage implements console.Stores.
func (s shown) Storage(now time.Time) (console.Storage, error) {
	n := s.n
	st := console.Storage{Keep: n.conf().Log.Days, Limit: int64(n.conf().Log.Space), Free: -1}
	list, err := trail.Segments(n.data.Path(logDir))
	if err != nil {
		return st, err
	}
	for _, f := range list { // the oldest first
		date := strings.TrimPrefix(f.Path[:strings.IndexByte(f.Path, '/')], "date=")
		if k := len(st.Days); k == 0 || st.Days[k-1].Date != date {
			st.Days = append(st.Days, console.StoredDay{Date: date})
		}
		st.Days[len(st.Days)-1].Octets += f.Octets
	}
	if n.trail != nil {
		u, err := n.trail.Usage()
		if err != nil {
			return st, err
		}
		st.Octets, st.Oldest = u.Bytes, u.Oldest
		if st.Reserve, err = n.trail.Reserve(); err != nil {
			n.opts.Log.Debug("room for the query log unknown", "error", err)
		}
		st.Sampled, st.Rules = n.trail.SampledNow()
	}
	var disk unix.Statfs_t
	if unix.Statfs(n.data.Dir, &disk) == nil {
		st.Free = int64(disk.Bavail) * int64(disk.Bsize)
	}
	if n.store != nil {
		now := n.store.Status()
		st.Store = &now
	}
	if seen, err := n.book.view.entries.Look(n.data.Path(ledgerDir)); err == nil && seen.Backup != nil {
		st.Backup = seen.Backup.Time
		for _, f := range seen.Backup.Facts {
			if f.Name == "to" {
				st.BackupTo = f.Value
			}
		}
	}
	st.Forecast(now)
	return st, nil
}
