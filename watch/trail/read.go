package trail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"anyu/event"
)

// Filter says which rows are wanted. What is zero is any.
type Filter struct {
	From, To time.Time    // [From, To)
	Name     string       // of the question: exact, or "*.example.org." for everything below
	Client   netip.Prefix // one address is a prefix of full length
	Answer   netip.Prefix // of an address among the answers
	Zone     string
	Source   string
	Node     string
	Type     string // "AAAA"
	Rcode    string // "SERVFAIL"; "none" is no reply
	Limit    int    // 0 is 100
}

const (
	defaultLimit = 100
	maxLimit     = 10_000 // (stops: "all" in a browser)
)

// Limit is how many rows a filter wants.
func Limit(f Filter) int {
	if f.Limit <= 0 {
		return defaultLimit
	}
	return min(f.Limit, maxLimit)
}

// Found is the answer to a search.
type Found struct {
	Rows     []Row     // newest first; a few more than Limit where several have the time of the last one
	Since    time.Time // everything from here on was looked at; go on with Filter.To = Since
	Complete bool      // everything that the filter allows was looked at
	Scanned  int       // rows read
}

var errEnough = errors.New("enough")

// Look opens the log of a folder for reading only. Another process may be writing it.
func Look(dir string) (*Trail, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("opening the query log: %w", err)
	}
	t := &Trail{opts: Options{Dir: dir, Names: event.NewNames(), Off: true}}
	t.opts.setDefaults()
	return t, nil
}

// Each hands every row that fits the filter to f, in no order, until f returns an error or ctx ends. Filter.Limit is not looked at.
func (t *Trail) Each(ctx context.Context, filter Filter, f func(*Row) error) (scanned int, err error) {
	s := newSearch(ctx, filter)
	s.each = f
	if err := t.search(s); err != nil {
		return s.scanned, fmt.Errorf("searching the query log: %w", err)
	}
	return s.scanned, nil
}

// Rows searches the log, newest first, until it has what the filter wants, has seen everything, or ctx ends; then it gives what it
// has and says how far it came.
func (t *Trail) Rows(ctx context.Context, f Filter) (Found, error) {
	s := newSearch(ctx, f)
	err := t.search(s)
	s.shrink()
	out := Found{Rows: s.rows, Since: f.From, Complete: err == nil, Scanned: s.scanned}
	switch {
	case err == nil && !s.more:
		return out, nil
	case err == nil || errors.Is(err, errEnough):
		out.Complete = false
		out.Since = s.rows[len(s.rows)-1].At()
		return out, nil
	case ctx.Err() != nil:
		out.Since = time.UnixMicro(min(s.reached, s.to)).UTC()
		return out, nil
	}
	return out, fmt.Errorf("searching the query log: %w", err)
}

// search looks through the append-only files and then the hours.
func (t *Trail) search(s *search) error {
	logs, ids, err := t.openLogs(s)
	defer func() {
		for _, l := range logs {
			l.file.Close()
		}
	}()
	if err != nil {
		return err
	}
	for _, l := range logs {
		if err := l.search(s); err != nil {
			return err
		}
	}
	folders, _, err := t.folders()
	if err != nil {
		return err
	}
	slices.Reverse(folders)
	for _, h := range folders {
		begin, end := h.begin.UnixMicro(), h.begin.Add(time.Hour).UnixMicro()
		if begin >= s.to {
			continue
		}
		if end <= s.from {
			break
		}
		if s.enough(end) {
			return errEnough
		}
		if err := h.search(s, ids); err != nil {
			return err
		}
		s.reached = begin
	}
	return nil
}

// openedLog is an append-only file and how to read it.
type openedLog struct {
	file    *os.File
	regions []region    // of the file being written
	words   *translator // for it
}

// openLogs opens the append-only files, newest first, and tells their ids: segments of the same rows are to be left out. An open file
// stays readable when the keeper removes it.
func (t *Trail) openLogs(s *search) (logs []openedLog, ids []string, err error) {
	t.mu.Lock()
	var live openedLog
	livePath := ""
	if t.live != nil {
		livePath = t.live.path
		live = openedLog{regions: slices.Clone(t.live.regions), words: newTranslator(t.opts.Names.Name, t.opts.Source)}
		live.words.without = leaveOut(t.opts.Without)
		live.file, err = os.Open(livePath)
	}
	t.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if live.file != nil {
		logs, ids = append(logs, live), append(ids, strings.TrimSuffix(filepath.Base(livePath), walExt))
	}
	paths, err := filepath.Glob(filepath.Join(t.opts.Dir, walDir, "*"+walExt))
	if err != nil {
		return logs, ids, err
	}
	slices.Reverse(paths)
	for _, path := range paths {
		if path == livePath {
			continue
		}
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just become segments
		}
		if err != nil {
			return logs, ids, err
		}
		logs, ids = append(logs, openedLog{file: file}), append(ids, strings.TrimSuffix(filepath.Base(path), walExt))
	}
	return logs, ids, nil
}

func (l *openedLog) search(s *search) error {
	if l.words == nil {
		_, err := readLog(l.file, s.take)
		if errors.Is(err, errCut) {
			return nil
		}
		return err
	}
	slices.SortFunc(l.regions, func(a, b region) int { return cmp.Compare(b.last, a.last) })
	for _, r := range l.regions {
		if r.last < s.from || r.first >= s.to {
			continue
		}
		if s.enough(r.last) {
			break // of this file; others may have newer rows
		}
		_, err := readFrames(io.NewSectionReader(l.file, r.offset, r.end-r.offset), func(kind byte, payload []byte) error {
			if kind == frameRows {
				return l.words.rows(payload, s.take)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// piece is a row group and its times.
type piece struct {
	path        string
	group       parquet.RowGroup
	first, last int64
}

// search reads the row groups of an hour, newest first.
func (h *hourFolder) search(s *search, without []string) error {
	paths, err := h.segments()
	if err != nil {
		return err
	}
	var pieces []piece
	for _, path := range paths {
		if slices.ContainsFunc(without, func(id string) bool { return id != "" && strings.Contains(filepath.Base(path), id) }) {
			continue
		}
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // grown too old meanwhile
		}
		if err != nil {
			return err
		}
		defer file.Close()
		more, err := groups(file)
		if err != nil {
			return fmt.Errorf("segment %s: %w", path, err)
		}
		for i := range more {
			more[i].path = path
		}
		pieces = append(pieces, more...)
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(b.last, a.last) })
	for _, p := range pieces {
		if p.last < s.from || p.first >= s.to {
			continue
		}
		if s.enough(p.last) {
			return errEnough
		}
		if s.absent(p.group) {
			continue
		}
		s.segment = filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(h.path)), filepath.Base(h.path), filepath.Base(p.path)))
		if err := s.read(p.group); err != nil {
			return err
		}
	}
	s.segment = ""
	return nil
}

// absent tells, from the bloom filters, that a group has no row of the name or the client.
func (s *search) absent(g parquet.RowGroup) bool {
	return s.f.Name != "" && lacks(g, s.f.Name, nameColumn) || single(s.f.Client) && lacks(g, s.f.Client.Addr().String(), clientColumn) ||
		single(s.f.Answer) && lacks(g, s.f.Answer.Addr().String(), answerColumn, "list", "element")
}

func single(p netip.Prefix) bool { return p.IsValid() && p.IsSingleIP() }

func lacks(g parquet.RowGroup, value string, column ...string) bool {
	leaf, ok := g.Schema().Lookup(column...)
	if !ok {
		return false
	}
	filter := g.ColumnChunks()[leaf.ColumnIndex].BloomFilter()
	if filter == nil {
		return false // of before there were any
	}
	has, err := filter.Check(parquet.ValueOf(value))
	return err == nil && !has
}

// groups are the row groups of a segment, with the times that its footer tells.
func groups(file *os.File) ([]piece, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return nil, err
	}
	var all []piece
	for _, g := range f.RowGroups() {
		p := piece{group: g, first: math.MinInt64, last: math.MaxInt64}
		if index, err := g.ColumnChunks()[0].ColumnIndex(); err == nil && index.NumPages() > 0 {
			p.first, p.last = math.MaxInt64, math.MinInt64
			for i := range index.NumPages() {
				p.first, p.last = min(p.first, index.MinValue(i).Int64()), max(p.last, index.MaxValue(i).Int64())
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// search collects the newest rows that fit a filter.
type search struct {
	ctx      context.Context
	f        Filter
	from, to int64 // us
	below    string
	limit    int
	rows     []Row
	scanned  int
	reached  int64
	more     bool             // rows that fit were forgotten
	each     func(*Row) error // takes rows instead of rows
	segment  string           // being read, relative to the log's folder
}

func newSearch(ctx context.Context, f Filter) *search {
	s := &search{ctx: ctx, f: f, from: math.MinInt64, to: math.MaxInt64, reached: math.MaxInt64, limit: Limit(f)}
	if !f.From.IsZero() {
		s.from = f.From.UnixMicro()
	}
	if !f.To.IsZero() {
		s.to = f.To.UnixMicro()
	}
	s.f.Name = strings.ToLower(f.Name)
	if s.f.Name != "" && !strings.HasSuffix(s.f.Name, ".") {
		s.f.Name += "."
	}
	if rest, ok := strings.CutPrefix(s.f.Name, "*"); ok {
		s.below, s.f.Name = rest, ""
	}
	return s
}

// read takes the rows of a group.
func (s *search) read(g parquet.RowGroup) error {
	r := parquet.NewGenericRowGroupReader[Row](g)
	defer r.Close()
	rows := make([]Row, 512)
	for {
		n, err := r.Read(rows)
		for i := range rows[:n] {
			if err := s.take(rows[i]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		clear(rows)
	}
}

// take keeps a row that fits.
func (s *search) take(r Row) error {
	if s.scanned++; s.scanned%1024 == 0 && s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	if !s.fits(&r) {
		return nil
	}
	r.Segment = s.segment
	if s.each != nil {
		return s.each(&r)
	}
	if s.rows = append(s.rows, r); len(s.rows) > 4*s.limit+1000 {
		s.shrink()
	}
	return nil
}

func (s *search) fits(r *Row) bool {
	f := &s.f
	switch {
	case r.Time < s.from || r.Time >= s.to,
		f.Name != "" && r.Name != f.Name,
		s.below != "" && !strings.HasSuffix(r.Name, s.below),
		f.Zone != "" && r.Zone != f.Zone,
		f.Source != "" && r.Source != f.Source,
		f.Node != "" && r.Node != f.Node,
		f.Type != "" && r.Type != f.Type,
		f.Rcode != "" && r.Rcode != f.Rcode:
		return false
	}
	if f.Answer.IsValid() && !slices.ContainsFunc(r.AnswerIPs, func(ip string) bool { return within(f.Answer, ip) }) {
		return false
	}
	return !f.Client.IsValid() || within(f.Client, r.Client)
}

func within(p netip.Prefix, text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && p.Contains(addr)
}

// shrink sorts, newest first, and forgets what is beyond the limit, but not between rows of one time: the next search begins there.
func (s *search) shrink() {
	slices.SortStableFunc(s.rows, func(a, b Row) int { return cmp.Compare(b.Time, a.Time) })
	n := s.limit
	for n < len(s.rows) && s.rows[n].Time == s.rows[n-1].Time {
		n++
	}
	if n < len(s.rows) {
		s.rows, s.more = s.rows[:n], true
	}
}

// enough tells that no row of last or before can still be among those wanted.
func (s *search) enough(last int64) bool {
	if s.each != nil {
		return false
	}
	s.shrink()
	return len(s.rows) >= s.limit && s.rows[s.limit-1].Time > last
}
