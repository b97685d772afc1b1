package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyu/event"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// folder is a data folder with a ledger of some hourly segments.
type folder struct {
	t    testing.TB
	dir  string
	l    *Ledger
	hour int
}

func newFolder(t testing.TB, hours int) *folder {
	t.Helper()
	f := &folder{t: t, dir: t.TempDir()}
	f.open()
	for range hours {
		f.segment()
	}
	return f
}

func (f *folder) open() {
	f.t.Helper()
	l, err := Open(filepath.Join(f.dir, "ledger"), "ns1")
	if err != nil {
		f.t.Fatal(err)
	}
	f.l = l
	f.t.Cleanup(func() { l.Close() })
}

func segmentPath(hour int) string {
	at := began.Add(time.Duration(hour) * time.Hour)
	return fmt.Sprintf("log/date=%s/hour=%s/ns1-%d.parquet", at.Format("2006-01-02"), at.Format("15"), hour)
}

func (f *folder) write(path, text string) (sum string) {
	f.t.Helper()
	full := filepath.Join(f.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o640); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chtimes(full, began, began); err != nil {
		f.t.Fatal(err)
	}
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// segment closes the segment of the next hour.
func (f *folder) segment() {
	f.t.Helper()
	path, text := segmentPath(f.hour), fmt.Sprintf("rows of hour %d", f.hour)
	from := began.Add(time.Duration(f.hour) * time.Hour)
	f.hour++
	f.append(from.Add(61*time.Minute), &Entry{Kind: Segment, Subject: path, SHA256: f.write(path, text), Octets: int64(len(text)), Rows: 3, From: from, To: from.Add(time.Hour)})
}

func (f *folder) append(now time.Time, e ...*Entry) {
	f.t.Helper()
	if err := f.l.Append(now, e...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) verify(change ...func(*Verification)) *Result {
	f.t.Helper()
	v := Verification{Data: f.dir, Log: "log", Now: began.Add(10_000 * time.Hour)}
	for _, c := range change {
		c(&v)
	}
	r, err := Verify(v)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, "ledger", name) }

// edit replaces text in a file of the ledger.
func (f *folder) edit(name, old, new string) {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		f.t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(f.path(name), bytes.Replace(b, []byte(old), []byte(new), 1), 0o640); err != nil {
		f.t.Fatal(err)
	}
}

func (r *Result) says(what, subject string) bool {
	for _, p := range r.Problems {
		if p.What == what && (subject == "" || p.Subject == subject || p.Entry != nil && fmt.Sprint(*p.Entry) == subject) {
			return true
		}
	}
	return false
}

func TestVerify_wholeLedgerHolds(t *testing.T) {
	f := newFolder(t, 30)
	n := int64(3)
	f.append(began.Add(40*time.Hour), &Entry{Kind: Audit, Subject: "flush", Who: "admin", Why: "drill"}, &Entry{Kind: Removed, Subject: segmentPath(3), Old: &n})
	if err := os.Remove(filepath.Join(f.dir, segmentPath(3))); err != nil {
		t.Fatal(err)
	}
	if r := f.verify(); len(r.Problems) > 0 || r.Entries != 32 || r.Segments != 29 || r.Kinds[Audit] != 1 || !r.Read {
		t.Errorf("%+v", r)
	}
	f.l.Close()
	f.open() // a new process goes on
	f.segment()
	if r := f.verify(); len(r.Problems) > 0 || r.Entries != 33 {
		t.Errorf("%+v", r)
	}
}

// Each way of tampering is found, and what it was done to is named.
func TestVerify_tampering(t *testing.T) {
	seven := segmentPath(7)
	for name, c := range map[string]struct {
		do            func(f *folder)
		what, subject string
	}{
		"a flipped bit in an old segment": {func(f *folder) { f.write(seven, "rows of hour 5") }, Altered, seven},
		"a segment made longer":           {func(f *folder) { f.write(seven, "rows of hour 7 and one more") }, Altered, seven},
		"a segment that is gone":          {func(f *folder) { os.Remove(filepath.Join(f.dir, seven)) }, Missing, seven},
		"a segment put in":                {func(f *folder) { f.write("log/date=2026-01-01/hour=07/ns1-x.parquet", "x") }, Unknown, "log/date=2026-01-01/hour=07/ns1-x.parquet"},
		"two segments exchanged": {func(f *folder) {
			f.write(seven, "rows of hour 8")
			f.write(segmentPath(8), "rows of hour 7")
		}, Altered, seven},
		"an entry with another hash":  {func(f *folder) { f.edit(entriesFile, `"rows":3`, `"rows":4`) }, Altered, "0"},
		"an entry whose number lies":  {func(f *folder) { f.edit(entriesFile, `{"n":7,`, `{"n":8,`) }, Reordered, "7"},
		"an entry that is older":      {func(f *folder) { f.edit(entriesFile, `"time":"2026-01-01T08:01:00Z"`, `"time":"2026-01-01T02:01:00Z"`) }, BackDated, "7"},
		"an entry that is younger":    {func(f *folder) { f.edit(entriesFile, `"time":"2026-01-01T08:01:00Z"`, `"time":"2027-01-01T02:01:00Z"`) }, BackDated, "7"},
		"text and hash of an entry":   {alterWithHash, Altered, ""},
		"the last entries cut off":    {func(f *folder) { cutEntries(f, 3) }, Missing, ""},
		"an entry in the middle gone": {func(f *folder) { dropEntry(f, 7) }, Reordered, "7"},
		"entries exchanged":           {func(f *folder) { swapEntries(f, 7) }, Reordered, "7"},
		"an entry without signature":  {addUnsigned, Unsigned, ""},
		"a head of another time":      {func(f *folder) { f.edit(headsFile, "time 2026", "time 2027") }, Altered, headsFile},
		"rows from long before": {func(f *folder) {
			f.append(began.Add(900*time.Hour), &Entry{Kind: Segment, Subject: "log/x.parquet", SHA256: f.write("log/x.parquet", "x"), Octets: 1, To: began})
		}, BackDated, "log/x.parquet"},
		"a removed segment that never was": {func(f *folder) {
			f.append(began.Add(900*time.Hour), &Entry{Kind: Removed, Subject: "log/never.parquet"})
		}, Missing, "log/never.parquet"},
		"an entry that leads outside": {func(f *folder) {
			f.append(began.Add(900*time.Hour), &Entry{Kind: Segment, Subject: "../../etc/passwd", SHA256: "x", Octets: 1})
		}, Unreadable, "../../etc/passwd"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, 12)
			c.do(f)
			if r := f.verify(); !r.says(c.what, c.subject) {
				t.Errorf("%+v, want %s of %s", r.Problems, c.what, c.subject)
			}
		})
	}
}

func (f *folder) lines() [][]byte {
	b, err := os.ReadFile(f.path(entriesFile))
	if err != nil {
		f.t.Fatal(err)
	}
	return bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

func (f *folder) put(lines [][]byte) {
	text := bytes.TrimSuffix(bytes.Join(lines, nil), []byte("\n"))
	if err := os.WriteFile(f.path(entriesFile), append(text, '\n'), 0o640); err != nil {
		f.t.Fatal(err)
	}
}

func cutEntries(f *folder, n int) { l := f.lines(); f.put(l[:len(l)-n]) }

func dropEntry(f *folder, n int) { l := f.lines(); f.put(append(l[:n:n], l[n+1:]...)) }

func swapEntries(f *folder, n int) { l := f.lines(); l[n], l[n+1] = l[n+1], l[n]; f.put(l) }

func addUnsigned(f *folder) {
	e := Entry{N: int64(f.hour), Time: began.Add(900 * time.Hour), Kind: Audit, Subject: "x"}
	line, _ := e.line()
	f.put(append(f.lines(), []byte("\n"), line))
}

func alterWithHash(f *folder) {
	f.edit(entriesFile, `"rows":3`, `"rows":4`)
	if err := os.Remove(f.path(hashesFile)); err != nil { // made again from the entries
		f.t.Fatal(err)
	}
}

// With a checkpoint kept elsewhere also a whole folder put back to an older state, or made anew with another key, is found.
func TestVerify_checkpointKeptElsewhere(t *testing.T) {
	f := newFolder(t, 5)
	five, err := Head(filepath.Join(f.dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	f.segment()
	six, _ := Head(filepath.Join(f.dir, "ledger"))
	with := func(text []byte) func(*Verification) { return func(v *Verification) { v.Checkpoint = text } }
	for _, head := range [][]byte{five, six} {
		if r := f.verify(with(head)); len(r.Problems) > 0 || !r.Compared {
			t.Errorf("%+v", r)
		}
	}
	back := &folder{t: t, dir: saved}
	if r := back.verify(); len(r.Problems) > 0 {
		t.Errorf("the older copy alone: %+v", r.Problems)
	}
	if r := back.verify(with(six)); !r.says(RolledBack, "") {
		t.Errorf("%+v", r.Problems)
	}
	other := newFolder(t, 6)
	if r := other.verify(with(six)); !r.says(Rebuilt, "") {
		t.Errorf("%+v", r.Problems)
	}
	if r := other.verify(with([]byte("nonsense"))); !r.says(Unreadable, "") {
		t.Errorf("%+v", r.Problems)
	}
	// The same key, another history: it was copied before the ledger was made anew.
	fork := newFolder(t, 0)
	for _, name := range []string{secretFile, publicFile} {
		b, _ := os.ReadFile(f.path(name))
		os.WriteFile(fork.path(name), b, 0o600)
	}
	fork.l.Close()
	fork.open()
	fork.hour = 1
	for range 7 {
		fork.segment()
	}
	if r := fork.verify(with(six)); !r.says(Rebuilt, "") {
		t.Errorf("%+v", r.Problems)
	}
}

// A ledger that lost entries takes no more: signing the shorter tree would hide the loss.
func TestOpen_refusesToGoOnAfterLoss(t *testing.T) {
	f := newFolder(t, 5)
	f.l.Close()
	cutEntries(f, 2)
	if _, err := Open(filepath.Join(f.dir, "ledger"), "ns1"); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// An entry cut off by kill -9 was acknowledged to nobody, and the next one takes its place.
func TestOpen_afterKill(t *testing.T) {
	f := newFolder(t, 3)
	f.l.Close()
	file, err := os.OpenFile(f.path(entriesFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.WriteString(`{"n":3,"time":"2026`)
	file.Close()
	os.Truncate(f.path(hashesFile), 40) // hashes are not synced with each entry of a batch
	f.open()
	f.segment()
	if r := f.verify(); len(r.Problems) > 0 || r.Entries != 4 {
		t.Errorf("%+v", r)
	}
}

// A power failure left anything of hashes that were not synced, and a part of a head: neither was promised to anybody.
func TestOpen_afterPowerFailure(t *testing.T) {
	f := newFolder(t, 3)
	f.l.Close()
	e := Entry{N: 3, Time: began.Add(5 * time.Hour), Kind: Audit, Subject: "written and not signed"}
	line, err := e.line()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{entriesFile: string(line) + "\n", hashesFile: strings.Repeat("\x00", 96), headsFile: "anyu/ns1\n4\nAAAA\n\n— any"} {
		file, err := os.OpenFile(f.path(name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString(text)
		file.Close()
	}
	f.open()
	f.hour = 6
	f.segment()
	if r := f.verify(); len(r.Problems) > 0 || r.Entries != 5 {
		t.Errorf("%+v", r)
	}
}

// Who deletes the heads and alters an entry does not get the rest signed; who adds a line by hand finds it cut off, and told.
func TestAppend_signsNothingThatItDidNotWrite(t *testing.T) {
	f := newFolder(t, 4)
	file, err := os.OpenFile(f.path(entriesFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(file, `{"n":4,"time":"2026-01-01T04:01:00Z","kind":"removed","subject":%q}`+"\n", segmentPath(2))
	file.Close()
	os.Remove(filepath.Join(f.dir, segmentPath(2)))
	f.segment()
	if r := f.verify(); !r.says(Missing, segmentPath(2)) || r.Kinds[Loss] != 1 {
		t.Errorf("%+v", r)
	}
	f.l.Close()
	f.edit(entriesFile, `"rows":3`, `"rows":4`)
	for _, name := range []string{headFile, headsFile, hashesFile} {
		os.Remove(f.path(name))
	}
	if _, err := Open(filepath.Join(f.dir, "ledger"), "ns1"); !errors.Is(err, ErrDamaged) {
		t.Errorf("without heads: %v", err)
	}
}

// An entry whose head could not be written is not there: it is written again, once.
func TestAppend_afterFailureTriesAgainCleanly(t *testing.T) {
	f := newFolder(t, 2)
	block := f.path(headFile) + ".new"
	if err := os.Mkdir(block, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.l.Append(began.Add(9*time.Hour), &Entry{Kind: Audit, Subject: "flush"}); err == nil {
			t.Fatal("an entry that is not signed was acknowledged")
		}
	}
	os.Remove(block)
	f.append(began.Add(9*time.Hour), &Entry{Kind: Audit, Subject: "flush"})
	if r := f.verify(); len(r.Problems) > 0 || r.Kinds[Audit] != 1 {
		t.Errorf("%+v", r)
	}
}

// Verifying beside a node that appends all the time finds nothing wrong.
func TestVerify_besideARunningNode(t *testing.T) {
	f := newFolder(t, 5)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				f.l.Append(began.Add(time.Duration(10+i)*time.Hour), &Entry{Kind: Audit, Subject: "x"})
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for range 10 {
		if r := f.verify(); len(r.Problems) > 0 {
			t.Errorf("%+v", r.Problems[0])
		}
	}
	close(done)
	<-ended
}

// Nobody waits for ever for a lock that somebody holds.
func TestAppend_lockHeldByAnother(t *testing.T) {
	f := newFolder(t, 1)
	lock, err := os.OpenFile(f.path(lockFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	end, err := flock(lock, unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := f.l.Append(began.Add(9*time.Hour), &Entry{Kind: Audit, Subject: "flush"}); !errors.Is(err, errBusy) {
		t.Errorf("%v", err)
	}
}

// Two processes append to one ledger.
func TestAppend_besideAnotherProcess(t *testing.T) {
	f := newFolder(t, 2)
	other, err := Open(filepath.Join(f.dir, "ledger"), "ns1")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Append(began.Add(50*time.Hour), &Entry{Kind: Audit, Subject: "user add"}); err != nil {
		t.Fatal(err)
	}
	f.append(began.Add(40*time.Hour), &Entry{Kind: Audit, Subject: "with a clock behind"})
	if r := f.verify(); len(r.Problems) > 0 || r.Entries != 4 {
		t.Errorf("%+v", r)
	}
}

// Erasing personal data rewrites a segment, and is itself an entry that names the old leaf.
func TestVerify_erasure(t *testing.T) {
	f := newFolder(t, 4)
	n := int64(2)
	path := segmentPath(2)
	sum := f.write(path, "rows without a client")
	f.append(began.Add(90*time.Hour), &Entry{Kind: Erased, Subject: path, SHA256: sum, Octets: 21, Old: &n, Who: "dpo", Why: "request 17"})
	if r := f.verify(); len(r.Problems) > 0 || r.Erased != 1 {
		t.Errorf("%+v", r)
	}
	wrong := int64(1)
	f.append(began.Add(91*time.Hour), &Entry{Kind: Erased, Subject: path, SHA256: sum, Octets: 21, Old: &wrong})
	if r := f.verify(); !r.says(Altered, path) {
		t.Errorf("%+v", r.Problems)
	}
}

func TestProof_holdsWithoutTheFolder(t *testing.T) {
	f := newFolder(t, 9)
	proofs, err := f.l.Prove(0, 4, 8)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(proofs)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadProofs(bytes.NewReader(text))
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for i, p := range list {
		e, head, err := p.Check(f.l.Key())
		if err != nil || e.N != []int64{0, 4, 8}[i] || head.Size != 9 || e.Kind != Segment {
			t.Errorf("%+v %+v %v", e, head, err)
		}
	}
	for name, change := range map[string]func(*Proof){
		"entry":  func(p *Proof) { p.Leaf = strings.Replace(p.Leaf, `"rows":3`, `"rows":9`, 1) },
		"number": func(p *Proof) { p.N++ },
		"path":   func(p *Proof) { p.Path[0] = p.Path[1] },
		"short":  func(p *Proof) { p.Path = p.Path[1:] },
		"head":   func(p *Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n9\n", "\n8\n", 1) },
		"hash":   func(p *Proof) { p.Path[0] = "x" },
	} {
		again, _ := ReadProofs(bytes.NewReader(text))
		change(&again[1])
		if _, _, err := again[1].Check(f.l.Key()); err == nil {
			t.Errorf("a proof with another %s holds", name)
		}
	}
	if _, _, err := list[0].Check(newFolder(t, 1).l.Key()); !errors.Is(err, ErrForeign) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := f.l.Prove(9); err == nil {
		t.Error("an entry that is not there was proved")
	}
}

func TestRecorder_keepsFindingsAndCountsLosses(t *testing.T) {
	f := newFolder(t, 0)
	r := NewRecorder(f.l, slog.New(slog.DiscardHandler))
	for i := range 20 {
		r.Notify(event.Finding{ID: fmt.Sprint("nx-share-", i), Kind: "nx-share", Subject: "example.org", Opened: began, Facts: []event.Fact{{Name: "share", Value: "0.9"}}})
	}
	r.Record(Entry{Kind: Audit, Subject: strings.Repeat("x", 10*maxText)})
	r.Close()
	got := map[Kind]int{}
	if err := Each(filepath.Join(f.dir, "ledger"), func(e Entry) bool { got[e.Kind]++; return true }); err != nil {
		t.Fatal(err)
	}
	if got[Finding] != 20 || got[Audit] != 1 || r.Lost() != 0 {
		t.Errorf("%v, %d lost", got, r.Lost())
	}
	if v := f.verify(); len(v.Problems) > 0 {
		t.Errorf("%+v", v.Problems)
	}
}

// A year of hourly segments, by sizes only. The ten seconds of the promise are measured in bench; here it is that the work is bounded by the entries.
func BenchmarkVerify(b *testing.B) {
	f := &folder{t: b, dir: b.TempDir()}
	f.open()
	var list []*Entry
	for range 8760 {
		path := segmentPath(f.hour)
		f.hour++
		list = append(list, &Entry{Kind: Segment, Subject: path, SHA256: f.write(path, "x"), Octets: 1})
	}
	f.append(began.Add(9000*time.Hour), list...)
	for b.Loop() {
		if r := f.verify(func(v *Verification) { v.Quick = true }); len(r.Problems) > 0 {
			b.Fatal(r.Problems[0])
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("anyu/ns1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntime 2026-01-01T00:00:00Z\n\n— anyu/ns1 x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseCheckpoint(string(text))
		OpenCheckpoint(text, "anyu/ns1+00000000+AXx8")
		for _, one := range splitHeads(text) {
			parseCheckpoint(string(one))
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"n":0,"time":"2026-01-01T00:00:00Z","kind":"audit"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEntry(line)
		if err != nil {
			return
		}
		if _, err := e.line(); err != nil && !strings.Contains(err.Error(), "year") {
			t.Fatal(err)
		}
	})
}
