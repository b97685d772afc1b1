package tap_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"anyu/house/corpora"
	"anyu/watch/tap"
	"anyu/watch/tap/cdns"
)

// plain is a transaction without what C-DNS has no place for.
func plain(x *tap.Transaction) string {
	y := *x
	y.Identity, y.Zone = nil, nil
	if y.Kind == tap.Update {
		y.Kind = tap.Client
	}
	return tap.NewRow(&y).Line()
}

// Every transaction of every capture and dnstap file of the corpora, written as C-DNS (RFC 8618), comes back with the same addresses, times, question, flags,
// rcode, sizes and latency. A message that cannot be read comes back as a malformed one, octet for octet.
func TestTransaction_survivesCDNS(t *testing.T) {
	dir := corpora.Path(t, "pcap")
	files, total, malformed := 0, 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isObservations(path) {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if refused[filepath.ToSlash(name)] != "" {
			return nil
		}
		in, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		before, wrong, file := stored(t, in)
		after, again, _ := stored(t, file)
		files, total, malformed = files+1, total+len(before), malformed+int(wrong)
		if wrong != again {
			t.Errorf("%s: %d malformed messages, then %d", name, wrong, again)
		}
		if lost := missing(before, after); len(lost) > int(wrong) { // who knows only the octets of a message does not know who asked whom, nor its counterpart
			t.Errorf("%s: of %d transactions %d do not come back, among them %s", name, len(before), len(lost), lost[0])
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("%v, %d files", err, files)
	}
	t.Logf("%d files, %d transactions, %d malformed messages", files, total, malformed)
}

// missing are the lines of one list that the other has not, each as often as it is missing.
func missing(list, from []string) (lost []string) {
	left := map[string]int{}
	for _, l := range from {
		left[l]++
	}
	for _, l := range list {
		if left[l]--; left[l] < 0 {
			lost = append(lost, l)
		}
	}
	return lost
}

// stored reads a file, writes it as C-DNS, and gives its transactions and how many messages were malformed.
func stored(t *testing.T, in []byte) (lines []string, malformed uint64, file []byte) {
	t.Helper()
	var b bytes.Buffer
	w, err := cdns.NewWriter(&b, "", "")
	if err != nil {
		t.Fatal(err)
	}
	r := &tap.Reader{Complain: func(string, string) {}}
	r.Table = tap.NewTable(func(x *tap.Transaction) {
		var it cdns.Item
		x.ToCDNS(&it)
		err = errors.Join(err, w.Add(&it))
		lines = append(lines, plain(x))
	})
	_ = r.Read(bytes.NewReader(in)) // what is broken behind the whole messages is another test's
	r.Table.Close()
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return lines, w.Malformed, b.Bytes()
}
