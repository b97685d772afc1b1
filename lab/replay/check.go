package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// checkAutotrust compares the keys of an anchor file and their states; times and counters are the program's own way.
func (r *run) checkAutotrust(s *Step) error {
	keeper, ok := r.sys.(AnchorKeeper)
	if !ok {
		return &Skip{"directive CHECK_AUTOTRUST: the system keeps no anchor files"}
	}
	lines, err := r.expandLines(s)
	if err != nil {
		return err
	}
	want, revoked, at, err := parseAnchors(lines)
	if err != nil {
		return r.fail("", "%v (line %d of the block)", err, at)
	}
	got, err := keeper.Anchors(s.Name)
	if err != nil {
		return r.fail("", "reading the anchors of %s: %v", s.Name, err)
	}
	if diff := compareAnchors(want, got); len(diff) > 0 {
		var b strings.Builder
		for _, k := range got {
			fmt.Fprintf(&b, "    has %s\n", k)
		}
		return r.fail(b.String(), "the anchors of %s differ (all revoked: %v): %s", s.Name, revoked, strings.Join(diff, " | "))
	}
	return nil
}

func (r *run) expandLines(s *Step) ([]string, error) {
	lines := make([]string, len(s.Lines))
	for i, l := range s.Lines {
		var err error
		if lines[i], err = r.macros.expand(l); err != nil {
			return nil, r.fail("", "line %d of the block: %v", i+1, err)
		}
	}
	return lines, nil
}

// checkTempfile compares the records of a zone file.
func (r *run) checkTempfile(s *Step) error {
	lines, err := r.expandLines(s)
	if err != nil {
		return err
	}
	want, err := scanZone(strings.Join(lines, "\n")+"\n", r.set.Files)
	if err != nil {
		return r.fail("", "reading what %s should be: %v", s.Name, err)
	}
	text, ok := r.set.Files.Read(s.Name)
	if !ok {
		return r.fail("", "there is no file %s", s.Name)
	}
	got, err := scanZone(string(text), r.set.Files)
	if err != nil {
		return r.fail(string(text), "reading %s: %v", s.Name, err)
	}
	keys := func(list []Record) []string {
		k := make([]string, len(list))
		for i, r := range list {
			k[i] = r.key(true)
		}
		return k
	}
	var diff []string
	w, g := keys(want), keys(got)
	for _, n := range subtract(w, g) {
		diff = append(diff, "missing "+want[n].String())
	}
	for _, n := range subtract(g, w) {
		diff = append(diff, "not expected "+got[n].String())
	}
	if len(diff) > 0 {
		return r.fail(string(text), "the file %s differs: %s", s.Name, strings.Join(diff, " | "))
	}
	return nil
}

// scanZone reads the records of a master file.
func scanZone(text string, files *Files) ([]Record, error) {
	var list []Record
	opts := zone.LoadOptions{Name: wire.Root(), Class: wire.ClassIN, File: "\x00", Workers: 1, Open: func(name string) (io.ReadCloser, error) {
		if name == "\x00" {
			return io.NopCloser(strings.NewReader("$TTL 3600\n" + text)), nil
		}
		if b, ok := files.Read(name); ok {
			return io.NopCloser(strings.NewReader(string(b))), nil
		}
		return nil, fmt.Errorf("there is no file %s", name)
	}}
	var first error
	err := zone.Scan(context.Background(), opts, func(r zone.Record) {
		list = append(list, Record{append(wire.Name(nil), r.Owner...), r.Type, wire.ClassIN, r.TTL, append([]byte(nil), r.RData...)})
	}, func(err error) bool { first = errors.Join(first, err); return false })
	if first != nil {
		err = first
	}
	return list, err
}
