package zone_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/house/corpora"
)

// TestLoad_sameRecordsAsBIND has named-checkzone print what it read of a file that three checkers accept, and compares the
// records. Every sixth file, all of them (half a minute) with ANYU_PEERS=all.
func TestLoad_sameRecordsAsBIND(t *testing.T) {
	dir := corpora.Path(t, "zones")
	checkzone, err := exec.LookPath("named-checkzone")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no named-checkzone: ", err)
	}
	step := 6
	if os.Getenv("ANYU_PEERS") == "all" {
		step = 1
	}
	dump := filepath.Join(t.TempDir(), "dump")
	compared := 0
	for i, row := range table(t, filepath.Join(dir, "verdicts.tsv"), true) {
		if i%step != 0 || row[3] != "ok" || row[4] != "ok" || row[5] != "ok" {
			continue
		}
		file := filepath.Join(dir, row[0])
		cmd := exec.Command(checkzone, "-i", "none", "-k", "ignore", "-q", "-F", "text", "-s", "full", "-o", dump, row[1], filepath.Base(file))
		cmd.Dir = filepath.Dir(file) // it takes $INCLUDE from where it runs
		if cmd.Run() != nil {
			continue
		}
		ours, _, err := loadFile(t, row[1], file)
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		theirs, _, err := loadFile(t, row[1], dump)
		if err != nil {
			t.Errorf("%s as BIND prints it: %v", row[0], err)
			continue
		}
		if a, b := foldedText(t, ours), foldedText(t, theirs); a != b {
			t.Errorf("%s: ours\n%.2000s\nBIND's\n%.2000s", row[0], a, b)
		}
		compared++
	}
	if compared < 50 {
		t.Errorf("only %d compared", compared)
	}
}

// foldedText is the text of a zone with names in lower case: BIND writes an owner as it came first anywhere.
func foldedText(t *testing.T, z *zone.Zone) string {
	var b strings.Builder
	for n := range z.All() {
		owner := wire.Name(bytes.ToLower(n.AppendOwner(nil, z.Apex())))
		for s := range n.Sets() {
			for it := s.Iter(); it.Next(); {
				rdata := wire.AppendCanonical(nil, s.Type(), it.RData())
				b.Write(zone.AppendRecordText(nil, zone.Record{Owner: owner, Type: s.Type(), TTL: s.TTL(), RData: rdata}, z.Class()))
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}
