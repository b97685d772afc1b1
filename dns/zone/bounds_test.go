package zone_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// What a hostile file may cost is bounded.
func TestLoad_bounds(t *testing.T) {
	many := files{"z": treeBase + strings.Repeat("$INCLUDE e\n", 10_001), "e": ""}
	if _, _, err := many.load(t, "z", 0, 2); err == nil || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("10,001 includes: %v", err)
	}
	for name, text := range map[string]string{
		"an open parenthesis": treeBase + "x TXT (\n" + strings.Repeat("a\n", 1<<20),
		"a comment":           treeBase + ";" + strings.Repeat("a", 2<<20),
	} {
		var se *zone.SyntaxError
		if _, _, err := loadText(t, "example.", text); !errors.As(err, &se) {
			t.Errorf("%s of 2 MiB: %v", name, err)
		}
	}
	if _, _, err := loadText(t, "example.", treeBase+"x TXT "+strings.Repeat("a\\000 ", 40_000)+"\n"); err == nil {
		t.Error("RDATA of more than 65,535 octets is accepted")
	}
	big := treeBase + "x TXT " + strings.Repeat(strings.Repeat("a", 255)+" ", 255) + "\n"
	z := mustLoad(t, "example.", big) // servers.md 5.1, case 74: RDATA nearly as large as can be
	if names, _, _ := z.Size(); names != 2 {
		t.Errorf("%d names", names)
	}
}

func TestLoad_stopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := zone.Load(ctx, zone.LoadOptions{Name: wire.Root(), File: "z", Open: files{"z": treeBase}.open})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestLoad_refuseOutside(t *testing.T) {
	_, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, "example."), File: "z", RefuseOutside: true,
		Open: files{"z": treeBase + "x.test. A 192.0.2.1\n"}.open})
	var se *zone.SyntaxError
	if !errors.As(err, &se) || se.Line != 4 {
		t.Errorf("%v", err)
	}
}

// A million warnings are counted, not kept.
func TestLoad_warningsAreBounded(t *testing.T) {
	_, warnings, err := loadText(t, "example.", treeBase+strings.Repeat("x.test. A 192.0.2.1\n", 5000))
	if err != nil || len(warnings) != 201 || warnings[200].Code != zone.WarnMore || !strings.Contains(warnings[200].Text, "4800") {
		t.Errorf("%v, %d warnings, the last %v", err, len(warnings), warnings[len(warnings)-1])
	}
}

// One name with very many records makes one large page and stays editable.
func TestEdit_hugeSet(t *testing.T) {
	var text strings.Builder
	text.WriteString(treeBase)
	for i := range 30_000 {
		fmt.Fprintf(&text, "x AAAA 2001:db8::%x:%x\n", i>>8, i&255)
		if i%100 == 0 {
			fmt.Fprintf(&text, "w%d A 192.0.2.1\ny%d A 192.0.2.1\n", i, i)
		}
	}
	z := mustLoad(t, "example.", text.String())
	e := z.Edit()
	x := mustName(t, "x.example.")
	for i := range 1000 {
		rdata := append([]byte{0x20, 1, 0x0d, 0xb8}, make([]byte, 12)...)
		rdata[13], rdata[15] = byte(i>>8), byte(i)
		if err := e.Remove(x, wire.TypeAAAA, rdata); err != nil {
			t.Fatal(i, err)
		}
	}
	z, err := e.Done()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := z.Find(wire.AppendKey(nil, x, z.Apex()))
	if set, _ := n.Set(wire.TypeAAAA); !ok || set.Len() != 29_000 {
		t.Errorf("%d records left", set.Len())
	}
	for _, name := range []string{"w0.example.", "w29900.example.", "y0.example.", "y29900.example."} {
		if _, ok := z.Find(wire.AppendKey(nil, mustName(t, name), z.Apex())); !ok {
			t.Errorf("%s is lost", name)
		}
	}
}

// Scan reads lists that are no zones.
func TestScan_withoutSOA(t *testing.T) {
	var got []string
	err := zone.Scan(context.Background(), zone.LoadOptions{Name: wire.Root(), File: "hints", Open: files{"hints": ". 3600000 NS A.ROOT.\nbad bad\nA.ROOT. 3600000 A 192.0.2.1\n$BAD\nx 1 A 192.0.2.1\n"}.open},
		func(r zone.Record) { got = append(got, string(zone.AppendRecordText(nil, r, wire.ClassIN))) },
		func(err error) bool { got = append(got, "error"); return true })
	want := ". 3600000 IN NS A.ROOT.|error|A.ROOT. 3600000 IN A 192.0.2.1|error"
	if err == nil || strings.Join(got, "|") != want {
		t.Errorf("%q, %v", got, err)
	}
}
