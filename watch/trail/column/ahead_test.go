package column_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"anyu/watch/trail"
	"anyu/watch/trail/column"
)

// foreseen is a file that knows what it was told will be read.
type foreseen struct {
	*bytes.Reader
	told    []bool // by octet
	strange [][2]int64
	unasked int // reads of what was not told
}

func (f *foreseen) Foresee(at, octets int64) {
	if at < 0 || octets <= 0 || at > int64(len(f.told))-octets {
		f.strange = append(f.strange, [2]int64{at, octets})
		return
	}
	for i := range octets {
		f.told[at+i] = true
	}
}

func (f *foreseen) ReadAt(b []byte, at int64) (int, error) {
	if !all(f.told[at : at+int64(len(b))]) {
		f.unasked++
	}
	return f.Reader.ReadAt(b, at)
}

func all(told []bool) bool {
	for _, t := range told {
		if !t {
			return false
		}
	}
	return true
}

func newForeseen(file []byte) *foreseen {
	f := &foreseen{Reader: bytes.NewReader(file), told: make([]bool, len(file))}
	column.Expect(f, int64(len(file)))
	return f
}

// What is read of a column is what was foreseen, and a second time nothing is asked.
func TestReader_readsWhatItForesaw(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	bytes := written(t, some(random, 60_000))
	r, err := column.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range trail.Columns() {
		file := newForeseen(bytes)
		f, err := r.Open(file, int64(len(bytes)))
		if err != nil {
			t.Fatal(err)
		}
		g := &f.Groups[random.IntN(len(f.Groups)/2)] // not at the end, which is foreseen in any case
		k := g.Chunk(path(c), kinds[c.Type])
		rows := []int32{int32(random.IntN(1000)), 1000 + int32(random.IntN(1000)), 2999}
		r.Want(k, rows)
		r.WantFilter(k, "10.0.3.7")
		asked := r.Ask()
		r.Want(k, rows)
		if again := r.Ask(); !asked || again {
			t.Errorf("%s: asked %v, again %v", c.Name, asked, again)
		}
		file.unasked = 0
		if err := r.Pick(k, rows, func(int, column.Value) {}); err != nil {
			t.Fatal(err)
		}
		r.Lacks(k, "10.0.3.7")
		if kinds[c.Type] == column.Text {
			r.WantAll(k, 500, 2500)
			r.Ask()
			if _, err := r.Scan(k, 500, 2500, "", func([]byte) bool { return false }); err != nil {
				t.Fatal(err)
			}
		}
		if file.unasked > 0 || len(file.strange) > 0 {
			t.Errorf("%s: %d reads that were not foreseen, %v foreseen that is not there", c.Name, file.unasked, file.strange)
		}
	}
}

// A damaged footer or offset index does not make a search foresee what is not in the file.
func TestReader_foreseesWithinDamagedFiles(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	whole := written(t, some(random, 3000))
	r, err := column.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	for range 1500 {
		damaged := bytes.Clone(whole)
		damaged[len(damaged)-1-random.IntN(min(len(damaged), 20_000))] ^= 1 << random.IntN(8)
		file := newForeseen(damaged)
		f, err := r.Open(&within{file}, int64(len(damaged)))
		if err != nil {
			continue
		}
		for i := range f.Groups {
			for _, c := range trail.Columns() {
				if k := f.Groups[i].Chunk(path(c), kinds[c.Type]); k != nil {
					r.Want(k, []int32{0, 1, 2000})
					r.WantAll(k, 0, 3000)
					r.WantFilter(k, "10.0.3.7")
				}
			}
		}
		r.Ask()
		if len(file.strange) > 0 {
			t.Fatalf("foreseen: %v of %d octets", file.strange, len(damaged))
		}
	}
}

// within reads what there is, as a file does.
type within struct{ f *foreseen }

func (w *within) Foresee(at, octets int64)               { w.f.Foresee(at, octets) }
func (w *within) ReadAt(b []byte, at int64) (int, error) { return w.f.Reader.ReadAt(b, at) }
