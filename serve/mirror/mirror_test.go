package mirror_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/house/corpora"
	"anyu/serve/mirror"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

func load(t *testing.T, text string, file string) *zone.Zone {
	t.Helper()
	open := func(name string) (io.ReadCloser, error) {
		if text != "" {
			return io.NopCloser(strings.NewReader(text)), nil
		}
		return os.Open(name)
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: wire.Root(), File: file, Open: open})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func anchors(t *testing.T) []validate.Anchor {
	t.Helper()
	text, err := os.ReadFile(corpora.Path(t, "zones", "root-trust", "root.ds"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := anchor.Read(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func root(t *testing.T, version string) *zone.Zone {
	return load(t, "", filepath.Join(corpora.Path(t, "zones", version), "root.zone"))
}

func at(date string) int64 {
	d, err := time.Parse("2006-01-02", date)
	if err != nil {
		panic(err)
	}
	return d.UnixNano()
}

func newMirror() *mirror.Mirror {
	return mirror.New(wire.Root(), []string{"one", "two"}, validate.New(validate.Config{}), 0)
}

// RFC 8806, Section 2; RFC 8976, Section 4: the root is used when digest and signatures hold, until its expire time, never an older one.
func TestOffer_takesWhatVerifies(t *testing.T) {
	m, keys := newMirror(), anchors(t)
	old, fresh := root(t, "root-20260105-signed-zonemd"), root(t, "root-20260731-signed-zonemd")
	if err := m.Offer(at("2026-01-06"), old, "one", keys); err != nil {
		t.Fatal(err)
	}
	now := at("2026-08-01")
	if m.Zone(now) != nil {
		t.Error("used after its expire time (RFC 1035, Section 3.3.13)")
	}
	if err := m.Offer(now, fresh, "two", keys); err != nil {
		t.Fatal(err)
	}
	if s := m.State(now); !s.Usable || s.Serial != 2026073102 || s.Source != "two" || s.Error != "" {
		t.Errorf("state %+v", s)
	}
	if err := m.Offer(now, old, "one", keys); !errors.Is(err, mirror.ErrOlder) || m.Zone(now) != fresh {
		t.Errorf("an older version: %v", err)
	}
	if source, next := m.Due(); source != 1 || next <= now {
		t.Errorf("next source %d at %d", source, next)
	}
}

func TestOffer_refusesWhatDoesNot(t *testing.T) {
	keys, now := anchors(t), at("2026-08-01")
	good := root(t, "root-20260731-signed-zonemd")
	changed := good.Edit()
	if err := changed.Add(wire.Name("\x04evil\x00"), wire.TypeNS, 3600, []byte("\x02ns\x04evil\x00")); err != nil {
		t.Fatal(err)
	}
	altered, err := changed.Done()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		zone *zone.Zone
		now  int64
		keys []validate.Anchor
	}{
		"a zone without signatures whose digest does not fit": {root(t, "root-2026-norrsig"), now, keys},
		"a zone with one record more":                         {altered, now, keys},
		"signatures that are over":                            {good, at("2027-08-01"), keys},
		"another trust anchor":                                {good, now, keys[:0]},
	} {
		m := newMirror()
		if err := m.Offer(c.now, c.zone, "one", c.keys); err == nil || m.Zone(c.now) != nil {
			t.Errorf("%s was taken", what)
		} else {
			t.Logf("%s: %v", what, err)
		}
		if source, next := m.Due(); source != 1 || next > c.now {
			t.Errorf("%s: the other source is not asked at once", what)
		}
	}
}
