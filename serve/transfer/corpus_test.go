package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/house/corpora"
	"anyu/serve/transfer"
)

func loadFile(t testing.TB, name, file string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: file, Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// receive gives a Receiver what a site sends for a request.
func receive(t testing.TB, s *site, request []byte, r *transfer.Receiver) {
	t.Helper()
	finished := false
	if _, err := s.Stream(request, client(), func(m []byte) error {
		done, err := r.Message(bytes.Clone(m))
		finished = done
		return err
	}); err != nil || !finished {
		t.Fatalf("finished %v: %v", finished, err)
	}
}

// The root zone of seven dates, from 1993 to 2026 (that of 2020 in the corpora has no SOA): each comes out of AXFR as it went in, and the way from each to the next comes out of IXFR
// and of the journal. The last two have a ZONEMD digest, which must hold at the other end (RFC 8976).
func TestTransfer_rootZones(t *testing.T) {
	files := []string{"root-1993/930311-ROOT.ZONE", "root-2011-nsd/root.zone", "root-2017-ithitools/root.zone", "root-2018-norrsig/root.zone",
		"root-2026-norrsig/root.zone", "root-20260105-signed-zonemd/root.zone", "root-20260731-signed-zonemd/root.zone"}
	var versions []*zone.Zone
	for _, f := range files {
		versions = append(versions, loadFile(t, ".", corpora.Path(t, "zones", f)))
	}
	dir := t.TempDir()
	for i, z := range versions {
		s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
		b, _ := axfr(".").Pack()
		r := transfer.NewReceiver(z.Apex(), wire.TypeAXFR, nil, transfer.Limits{})
		receive(t, s, b, r)
		got := r.Versions()[0]
		sameZone(t, got, z)
		before, _ := z.CheckZONEMD()
		if after, why := got.CheckZONEMD(); after != before {
			t.Errorf("%s: ZONEMD %v before, %v after the transfer: %s", files[i], before, after, why)
		}
		if i == 0 || int32(z.Serial()-versions[i-1].Serial()) <= 0 {
			continue
		}
		checkStep(t, versions[i-1], z, filepath.Join(dir, z.Apex().String()+files[i][:9]))
	}
}

// checkStep takes the way from one version to the next through IXFR and through a journal.
func checkStep(t *testing.T, old, fresh *zone.Zone, dir string) {
	t.Helper()
	s := newSite(t, transfer.Options{Dir: dir, Limits: transfer.Limits{Journal: 1 << 30}})
	s.Configure([]transfer.Zone{{Name: old.Apex(), AllowTransfer: everybody()}}, nil)
	s.Published(old.Apex(), nil, old)
	s.Published(old.Apex(), old, fresh)
	m := ixfr(".", old.Serial())
	b, _ := m.Pack()
	r := transfer.NewReceiver(old.Apex(), wire.TypeIXFR, old, transfer.Limits{})
	receive(t, s, b, r)
	sameZone(t, r.Versions()[0], fresh)
	j, err := transfer.OpenJournal(filepath.Join(dir, "copy"), 1<<30)
	if err = errors.Join(err, j.Snapshot(old), j.Append(old, fresh)); err != nil {
		t.Fatal(err)
	}
	again, err := transfer.OpenJournal(filepath.Join(dir, "copy"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Load(context.Background(), old.Apex())
	if err != nil {
		t.Fatal(err)
	}
	sameZone(t, got, fresh)
}

// Whatever arrives on the wire, in the corpora: a Receiver, and a Room that is asked, neither panic nor hang.
func TestTransfer_wireCorpus(t *testing.T) {
	root := corpora.Path(t, "wire")
	z := version(t, 10, "a", "b")
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	files := 0
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) > 65535 {
			return nil
		}
		files++
		for _, typ := range []wire.Type{wire.TypeAXFR, wire.TypeIXFR} {
			r := transfer.NewReceiver(z.Apex(), typ, z, transfer.Limits{})
			r.Message(b)
		}
		var q wire.Query
		if q.Read(b) == wire.Good && q.Name != nil && (q.TSIG != 0 || q.Opcode() == wire.OpcodeNotify) {
			answer(s, b, client().Remote)
		}
		s.Stream(b, client(), func([]byte) error { return nil })
		return nil
	})
	if files < 100 {
		t.Errorf("only %d files", files)
	}
}

// A client that goes away in the middle ends the transfer and nothing else.
func TestStream_clientGone(t *testing.T) {
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, loadText(t, 5000))
	b, _ := axfr(apex).Pack()
	sent := 0
	_, err := s.Stream(b, client(), func([]byte) error {
		if sent++; sent == 3 {
			return net.ErrClosed
		}
		return nil
	})
	if !errors.Is(err, net.ErrClosed) || sent != 3 || s.state(apex).Out.Failed != 1 {
		t.Errorf("%v after %d messages, %+v", err, sent, s.state(apex).Out)
	}
	if n := len(stream(t, s, axfr(apex))); n < 5 {
		t.Errorf("the next transfer has %d messages", n)
	}
}

func loadText(t testing.TB, n int) *zone.Zone {
	var b strings.Builder
	b.WriteString(soa(1) + apexNS)
	for i := range n {
		b.WriteString("h" + strings.Repeat("x", i%40) + string(rune('a'+i%26)) + strings.Repeat("y", i/1000) + ".example.org. 300 IN TXT \"" + strings.Repeat("t", 100) + "\"\n")
	}
	return load(t, apex, b.String())
}
