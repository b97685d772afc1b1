package trail

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"anyu/event"
)

// Thinned says that from a time on not every question became a row. A row itself tells for how many questions it stands; this tells of those hours without reading
// them, also where none of their rows was kept.
type Thinned struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to,omitzero"` // zero: until now
	OneOf    int64     `json:"one_of"`      // where no rule fits; 1: all
	Rules    int       `json:"rules,omitempty"`
	Pressure int64     `json:"for_want_of_space,omitempty"` // the part of OneOf that a full disk made
}

func (s *Thinned) thins() bool { return s.OneOf > 1 || s.Rules > 0 }

const (
	sampledFile = "sampled.jsonl" // a line for each change, in the log's folder
	// maxSampled bounds what is read of it (stops: a file put there that fills the memory). A disk that is full and not full by turns makes some 8,000 lines of 100 octets a day.
	maxSampled = 16 << 20
)

// noteSample keeps and tells how the log is sampled from now on. kept is false where the disk takes no note; then it is tried again.
func (t *Trail) noteSample(now time.Time, pressure int64) (kept bool) {
	s := Thinned{From: now.UTC(), OneOf: int64(t.sampler.oneOf) * pressure, Rules: len(t.sampler.rules)}
	if pressure > 1 {
		s.Pressure = pressure
	}
	t.tellSample(&s)
	last, err := lastThinned(t.opts.Dir)
	if err == nil && last.OneOf == s.OneOf && last.Rules == s.Rules && last.Pressure == s.Pressure {
		return true
	}
	if err = errors.Join(err, appendLine(filepath.Join(t.opts.Dir, sampledFile), &s)); err != nil {
		t.opts.Logger.Error("that the query log is sampled is not noted beside it", "error", err)
	}
	return err == nil
}

// tellSample raises the finding while questions are left out. It is critical when space is the reason: nobody decided that.
func (t *Trail) tellSample(s *Thinned) {
	if !s.thins() {
		if t.sampling {
			t.report("log-sampled", event.Warning, false)
		}
		t.sampling = false
		return
	}
	t.sampling = true
	severity, why := event.Warning, "configuration"
	if s.Pressure > 1 {
		severity, why = event.Critical, "the disk is full"
	}
	t.report("log-sampled", severity, true, event.Fact{Name: "one-of", Value: fmt.Sprint(s.OneOf)}, event.Fact{Name: "rules", Value: fmt.Sprint(s.Rules)},
		event.Fact{Name: "why", Value: why}, event.Fact{Name: "left-out", Value: fmt.Sprint(t.LeftOut())})
}

func appendLine(path string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// changes reads the lines, oldest first. One that cannot be read was cut off by a crash and is passed over.
func changes(dir string) (all []Thinned, err error) {
	f, err := os.Open(filepath.Join(dir, sampledFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading how the log was sampled: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxSampled {
		return nil, errors.Join(err, fmt.Errorf("reading how the log was sampled: %s is larger than %d octets", sampledFile, maxSampled))
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s Thinned
		if json.Unmarshal(lines.Bytes(), &s) == nil && !s.From.IsZero() {
			all = append(all, s)
		}
	}
	return all, lines.Err()
}

func lastThinned(dir string) (Thinned, error) {
	all, err := changes(dir)
	if len(all) == 0 {
		return Thinned{OneOf: 1}, err
	}
	return all[len(all)-1], err
}

// Sampled tells when within [from, to) the log did not keep every question; zero times are without a bound.
func (t *Trail) Sampled(from, to time.Time) (list []Thinned, err error) {
	all, err := changes(t.opts.Dir)
	for i, s := range all {
		if i+1 < len(all) {
			s.To = all[i+1].From
		}
		if s.thins() && (to.IsZero() || s.From.Before(to)) && (s.To.IsZero() || s.To.After(from)) {
			list = append(list, s)
		}
	}
	return list, err
}
