package zone_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/house/corpora"
)

// expectation is one block of a zscanner .out file: a record as hexadecimal fields, or an error.
type expectation map[string]string

func readExpectations(t *testing.T, file string) (all []expectation) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cur := expectation{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		if strings.HasPrefix(line, "---") {
			all = append(all, cur)
			cur = expectation{}
		} else if k, v, ok := strings.Cut(line, "="); ok {
			cur[k] = v
		}
	}
	return all
}

func (e expectation) record() string {
	if e["ERROR"] != "" || e["WARNG"] != "" {
		return "error"
	}
	return fmt.Sprintf("%s %s %s %s %s", e["OWNER"], e["CLASS"], e["RRTTL"], e["RTYPE"], e["RDATA"])
}

// TestScan_asKnotRecordByRecord reads the inputs of Knot's scanner tests and compares every record and every error in order.
// servers.md 5.1, case 76: $TTL, $INCLUDE, escapes, \#, parentheses, quotes, @, omitted fields in any order. What differs stands in testdata/zscanner-exceptions.txt: file, the record or error that Knot gives, ours, the reason.
func TestScan_asKnotRecordByRecord(t *testing.T) {
	dir := corpora.Path(t, "zones", "knot-zscanner")
	inputs, _ := filepath.Glob(filepath.Join(dir, "*.in"))
	if len(inputs) < 30 {
		t.Fatalf("only %d inputs", len(inputs))
	}
	exceptions := map[string]bool{}
	for _, row := range table(t, "testdata/zscanner-exceptions.txt", false) {
		exceptions[row[0]+"\t"+row[1]+"\t"+row[2]] = false
	}
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		abs, _ := filepath.Abs(dir)
		text = []byte(strings.ReplaceAll(string(text), "@TMPDIR@", abs))
		var got []string
		open := func(name string) (io.ReadCloser, error) {
			if name == in {
				return io.NopCloser(strings.NewReader(string(text))), nil
			}
			return os.Open(name)
		}
		zone.Scan(context.Background(), zone.LoadOptions{Name: wire.Root(), File: in, Open: open},
			func(r zone.Record) {
				got = append(got, fmt.Sprintf("%X %04X %08X %04X %s", []byte(r.Owner), 1, r.TTL, uint16(r.Type), strings.ToUpper(hex.EncodeToString(r.RData))))
			},
			func(err error) bool { got = append(got, "error"); return true })
		base := filepath.Base(in)
		want := readExpectations(t, strings.TrimSuffix(in, ".in")+".out")
		for i := 0; i < max(len(got), len(want)); i++ {
			g, w := "nothing", "nothing"
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i].record()
			}
			if !strings.EqualFold(g, w) {
				key := base + "\t" + w + "\t" + g
				if _, ok := exceptions[key]; ok {
					exceptions[key] = true
					continue
				}
				t.Errorf("%s, record %d: Knot %s, we %s", base, i+1, w, g)
			}
		}
	}
	for key, met := range exceptions {
		if !met {
			t.Errorf("exception no longer met: %s", key)
		}
	}
}
