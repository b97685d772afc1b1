package column_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"anyu/watch/trail"
	"anyu/watch/trail/column"
)

// some makes rows of everything that a segment may have: nulls here and there, everywhere and nowhere, texts that come again and that do not, lists of any length.
func some(r *rand.Rand, n int) []trail.Row {
	rows := make([]trail.Row, n)
	maybe := func(n int32) *int32 {
		if r.IntN(3) == 0 {
			return nil
		}
		return &n
	}
	for i := range rows {
		long, truth := r.Int64N(1<<40)-1<<20, r.IntN(2) == 0
		rows[i] = trail.Row{
			Time: 1_700_000_000_000_000 + r.Int64N(3_600_000_000), Node: "ns1", Source: []string{"self", "tap"}[i*2/n], Client: fmt.Sprintf("10.0.%d.%d", r.IntN(8), r.IntN(200)),
			ClientPort: maybe(r.Int32N(65536)), Transport: "udp", Name: fmt.Sprintf("n%d.example.org.", i/5), Type: []string{"A", "AAAA", "HTTPS"}[r.IntN(3)], Payload: maybe(1232),
			QuerySize: maybe(r.Int32N(500)), Latency: &long, DO: &truth,
		}
		if i%7 == 0 {
			rows[i].Client, rows[i].Name, rows[i].Latency, rows[i].DO = "", "", nil, nil
		}
		for range r.IntN(4) {
			rows[i].Answers = append(rows[i].Answers, fmt.Sprintf("n%d.example.org. A 203.0.113.%d", i/5, r.IntN(256)))
			rows[i].AnswerIPs = append(rows[i].AnswerIPs, fmt.Sprintf("203.0.113.%d", r.IntN(256)))
		}
	}
	return rows
}

// written is a segment of rows, with small pages and groups.
func written(t testing.TB, rows []trail.Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[trail.Row](&out, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.MaxRowsPerRowGroup(3000), parquet.PageBufferSize(1<<10),
		parquet.DefaultEncodingFor(parquet.Int32, &parquet.DeltaBinaryPacked), parquet.KeyValueMetadata("a key", "its value"),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, "client"), parquet.SplitBlockFilter(5, "qname"), parquet.SplitBlockFilter(10, "answer_ips", "list", "element")))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// kinds are how the fields of a row are stored.
var kinds = map[reflect.Type]column.Type{reflect.TypeFor[string](): column.Text, reflect.TypeFor[int64](): column.Int64, reflect.TypeFor[*int64](): column.Int64, reflect.TypeFor[*int32](): column.Int32,
	reflect.TypeFor[*bool](): column.Bool, reflect.TypeFor[[]string](): column.Text}

func path(c trail.Column) string {
	if c.Type.Kind() == reflect.Slice {
		return c.Name + ".list.element"
	}
	return c.Name
}

// values are those of a row's field, as texts.
func values(r *trail.Row, c trail.Column) []string {
	v := reflect.ValueOf(r).Elem().Field(c.Field)
	switch {
	case v.Kind() == reflect.Slice:
		return slices.Clone(v.Interface().([]string))
	case v.Kind() == reflect.Pointer && v.IsNil(), c.Optional && v.IsZero():
		return nil
	case v.Kind() == reflect.Pointer:
		v = v.Elem()
	}
	if v.Kind() == reflect.Bool {
		return []string{map[bool]string{true: "1", false: "0"}[v.Bool()]}
	}
	return []string{fmt.Sprint(v.Interface())}
}

func text(v column.Value, typ column.Type) string {
	if typ == column.Text {
		return string(v.Text)
	}
	return fmt.Sprint(v.Number)
}

// Every column of every row, and of some rows only, is what was written; parquet-go reads the same.
func TestReader_readsWhatWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rows := some(random, 10_000)
	file := written(t, rows)
	if back, err := parquet.Read[trail.Row](bytes.NewReader(file), int64(len(file))); err != nil || !reflect.DeepEqual(back, rows) {
		t.Fatal("parquet-go reads something else:", err)
	}
	r, err := column.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Lookup("a key"); !ok || v != "its value" {
		t.Errorf("metadata: %q", v)
	}
	base := 0
	for i := range f.Groups {
		g := &f.Groups[i]
		for _, c := range trail.Columns() {
			k := g.Chunk(path(c), kinds[c.Type])
			if k == nil {
				t.Fatalf("no column %s", c.Name)
			}
			var all, few []int32
			for row := range int32(g.Rows) {
				if all = append(all, row); random.IntN(200) == 0 {
					few = append(few, row)
				}
			}
			for _, picked := range [][]int32{all, few, few[:1], all[len(all)-1:]} {
				got := make([][]string, len(picked))
				if err := r.Pick(k, picked, func(i int, v column.Value) { got[i] = append(got[i], text(v, kinds[c.Type])) }); err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				for i, row := range picked {
					if want := values(&rows[base+int(row)], c); !slices.Equal(got[i], want) {
						t.Fatalf("%s of row %d: %q, want %q", c.Name, row, got[i], want)
					}
				}
			}
			scanned(t, r, k, c, rows[base:base+int(g.Rows)], random)
		}
		base += int(g.Rows)
	}
	if base != len(rows) {
		t.Errorf("%d rows", base)
	}
}

// scanned compares Scan and the bloom filter with what was written.
func scanned(t *testing.T, r *column.Reader, k *column.Chunk, c trail.Column, rows []trail.Row, random *rand.Rand) {
	t.Helper()
	if kinds[c.Type] != column.Text {
		return
	}
	begin, end := random.Int64N(int64(len(rows))), int64(len(rows))
	for _, wanted := range []string{"10.0.3.7", "n1000.example.org.", "203.0.113.9", "AAAA", "self", "nothing"} {
		var want []int32
		there := false
		for i := range rows {
			if slices.Contains(values(&rows[i], c), wanted) {
				if there = true; int64(i) >= begin && int64(i) < end {
					want = append(want, int32(i))
				}
			}
		}
		got, err := r.Scan(k, begin, end, wanted, func(v []byte) bool { return string(v) == wanted })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s %s: %d rows, want %d, %v", c.Name, wanted, len(got), len(want), err)
		}
		if there && r.Lacks(k, wanted) {
			t.Errorf("%s: the filter says that %s is not there", c.Name, wanted)
		}
	}
	if c.Name == "client" || c.Name == "qname" || c.Name == "answer_ips" {
		lacking := 0
		for i := range 1000 {
			if r.Lacks(k, fmt.Sprintf("no%d", i)) {
				lacking++
			}
		}
		if lacking < 700 {
			t.Errorf("%s: the filter rules out %d of 1000", c.Name, lacking)
		}
	}
}

// An octet that is changed anywhere is an error, or changes nothing of what is read; never a panic.
func TestReader_damage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	file := written(t, some(random, 400))
	want := everything(t, file)
	told := 0
	for range 1500 {
		at := random.IntN(len(file))
		damaged := bytes.Clone(file)
		damaged[at] ^= 1 << random.IntN(8)
		if got := everything(t, damaged); strings.HasPrefix(got, "error") {
			told++
		} else if got != want && at < len(file)-20_000 { // a footer has no checksum
			t.Errorf("octet %d: other values, and no word", at)
		}
	}
	if told < 750 {
		t.Errorf("%d of 1500 are errors", told)
	}
}

// everything reads all columns.
func everything(t testing.TB, file []byte) string {
	r, err := column.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return "error: " + err.Error()
	}
	var out strings.Builder
	for i := range f.Groups {
		g := &f.Groups[i]
		rows := make([]int32, min(g.Rows, 1000))
		for row := range rows {
			rows[row] = int32(row)
		}
		for _, c := range trail.Columns() {
			k := g.Chunk(path(c), kinds[c.Type])
			if k == nil {
				continue
			}
			r.Lacks(k, "10.0.3.7")
			if err := r.Pick(k, rows, func(i int, v column.Value) { fmt.Fprintf(&out, "%d %s\n", i, text(v, kinds[c.Type])) }); err != nil {
				return "error: " + err.Error()
			}
			if kinds[c.Type] != column.Text {
				continue
			}
			if _, err := r.Scan(k, 0, int64(len(rows)), "", func(v []byte) bool { return len(v) == 7 }); err != nil {
				return "error: " + err.Error()
			}
		}
	}
	return out.String()
}

func FuzzReader_survivesAnyFile(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 6))
	f.Add(written(f, some(random, 20)))
	f.Add(written(f, nil))
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, file []byte) { everything(t, file) })
}
