package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"anyu/serve/transfer"
)

const catalogHead = "@ 0 IN NS invalid.\nversion 0 IN TXT \"2\"\n"

func catalogText(serial int, rest string) string {
	return fmt.Sprintf("@ 0 IN SOA invalid. invalid. %d 100 20 400 0\n", serial) + rest
}

// RFC 9432, Section 4: what a catalog says, and what makes it broken (Section 5.1).
func TestReadCatalog(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string]string
		broken     bool
	}{
		{"no members", catalogHead, map[string]string{}, false},
		{"members", catalogHead + "id1.zones 0 IN PTR A.example.\nID2.zones 0 IN PTR b.example.\n", map[string]string{"a.example.": "id1", "b.example.": "id2"}, false},
		{"properties", catalogHead + "x.zones 0 IN PTR a.example.\ngroup.x.zones 0 IN TXT \"g1\"\ngroup.x.zones 0 IN TXT \"g2\"\ncoo.x.zones 0 IN PTR other.catalog.\n" +
			"ext.x.zones 0 IN TXT \"x\"\nfoo.ext 0 IN TXT \"y\"\nother 0 IN A 192.0.2.1\n", map[string]string{"a.example.": "x"}, false},
		{"properties of no member", catalogHead + "group.gone.zones 0 IN TXT \"g\"\n", map[string]string{}, false},
		{"no version", "@ 0 IN NS invalid.\nx.zones 0 IN PTR a.example.\n", nil, true},
		{"version 1", "@ 0 IN NS invalid.\nversion 0 IN TXT \"1\"\n", nil, true},
		{"two versions", catalogHead + "version 0 IN TXT \"3\"\n", nil, true},
		{"two names for an id", catalogHead + "x.zones 0 IN PTR a.example.\nx.zones 0 IN PTR b.example.\n", nil, true},
		{"two ids for a name", catalogHead + "x.zones 0 IN PTR a.example.\ny.zones 0 IN PTR A.EXAMPLE.\n", nil, true},
		{"too many", catalogHead + "x.zones 0 IN PTR a.example.\ny.zones 0 IN PTR b.example.\nz.zones 0 IN PTR c.example.\nw.zones 0 IN PTR d.example.\n", nil, true},
	} {
		got, err := transfer.ReadCatalog(load(t, "catalog.", catalogText(1, c.text)), 3)
		if errors.Is(err, transfer.ErrCatalog) != c.broken || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
}

// catalogLab is a primary with two catalogs and some zones, and a consumer.
type catalogLab struct {
	t        *testing.T
	net      *network
	from, to *site
	serial   int
}

func newCatalogLab(t *testing.T, ctx context.Context) *catalogLab {
	l := &catalogLab{t: t, from: newSite(t, transfer.Options{})}
	l.net = &network{sites: map[string]*site{"192.0.2.1:53": l.from}}
	conf := []transfer.Zone{{Name: mustName(t, "one.catalog."), AllowTransfer: everybody()}, {Name: mustName(t, "two.catalog."), AllowTransfer: everybody()}}
	for _, name := range []string{"a.example.", "b.example.", "c.example."} {
		conf = append(conf, transfer.Zone{Name: mustName(t, name), AllowTransfer: everybody()})
	}
	l.from.Configure(conf, nil)
	for _, z := range conf[2:] {
		l.from.Published(z.Name, nil, load(t, z.Name.String(), "@ 3600 IN SOA ns admin 7 100 20 400 60\n@ 3600 IN NS ns\n"))
	}
	l.publish("one", "")
	l.publish("two", "")
	l.to = newSite(t, transfer.Options{Dial: l.net.dial})
	l.configure()
	l.to.Start(ctx)
	return l
}

func (l *catalogLab) configure(more ...transfer.Zone) {
	p := []transfer.Remote{remote("192.0.2.1:53", nil)}
	l.to.Configure(append([]transfer.Zone{
		{Name: mustName(l.t, "one.catalog."), Primaries: p, Catalog: true}, {Name: mustName(l.t, "two.catalog."), Primaries: p, Catalog: true},
	}, more...), nil)
}

// publish gives a catalog a new version; the consumer hears of it by NOTIFY.
func (l *catalogLab) publish(which, text string) {
	l.serial++
	name := which + ".catalog."
	head := catalogHead
	if strings.Contains(text, "version") {
		head = "@ 0 IN NS invalid.\n"
	}
	z := load(l.t, name, catalogText(l.serial, head+text))
	l.from.Published(z.Apex(), nil, z)
	if l.to != nil {
		if err := l.to.Transfer(z.Apex()); err != nil {
			l.t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
	}
}

func (l *catalogLab) members(which string, want ...string) {
	l.t.Helper()
	if got := l.to.Members(mustName(l.t, which+".catalog.")); !slices.Equal(got, want) {
		l.t.Fatalf("members of %s: %v, want %v", which, got, want)
	}
	for _, name := range want {
		if l.to.zone(name) == nil {
			l.t.Fatalf("%s is not served", name)
		}
	}
}

// Members come, change their id, move and go (RFC 9432, Sections 4.3.1, 5.2 to 5.4); a broken catalog changes nothing (5.1).
func TestCatalog_members(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := newCatalogLab(t, ctx)
		time.Sleep(time.Second)
		l.publish("one", "id1.zones 0 IN PTR a.example.\nid2.zones 0 IN PTR b.example.\n")
		l.members("one", "a.example.", "b.example.")

		for _, broken := range []string{"version 0 IN TXT \"1\"\n", "x.zones 0 IN PTR a.example.\ny.zones 0 IN PTR a.example.\n"} {
			l.publish("one", broken)
			l.members("one", "a.example.", "b.example.")
			if !l.to.findings.has("catalog-broken", "one.catalog.") {
				t.Errorf("no finding about %q", broken)
			}
		}

		if err := l.to.Transfer(mustName(t, "b.example.")); err != nil { // so that a beginning anew can be told by its count
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := l.to.state("b.example.").In.AXFR; n != 2 {
			t.Fatalf("%d transfers of b.example.", n)
		}
		transfers := l.to.state("a.example.").In.AXFR
		l.publish("one", "id1.zones 0 IN PTR a.example.\nid9.zones 0 IN PTR b.example.\n")
		l.members("one", "a.example.", "b.example.")
		if l.to.findings.has("catalog-broken", "one.catalog.") {
			t.Error("the finding about the catalog stays open")
		}
		if n := l.to.state("a.example.").In.AXFR; n != transfers {
			t.Errorf("a member that stayed was fetched again (%d, %d)", transfers, n)
		}
		if s := l.to.state("b.example."); s.In.AXFR != 1 {
			t.Errorf("a member whose id changed did not begin anew: %+v", s.In)
		}

		// Another catalog may not take a member away, unless the owner says so.
		l.publish("two", "id1.zones 0 IN PTR a.example.\nc.zones 0 IN PTR c.example.\n")
		l.members("one", "a.example.", "b.example.")
		l.members("two", "c.example.")
		if !strings.Contains(l.to.findings.fact("catalog-broken", "two.catalog.", "error"), "a.example.") {
			t.Error("no finding names the member that two catalogs claim")
		}
		l.publish("one", "id1.zones 0 IN PTR a.example.\ncoo.id1.zones 0 IN PTR two.catalog.\nid9.zones 0 IN PTR b.example.\n")
		l.publish("two", "id1.zones 0 IN PTR a.example.\nc.zones 0 IN PTR c.example.\n")
		l.members("one", "b.example.")
		l.members("two", "a.example.", "c.example.")
		if n := l.to.state("a.example.").In.AXFR; n != transfers {
			t.Errorf("a member that moved with its id was fetched again")
		}

		l.publish("one", "")
		l.members("one")
		if l.to.serves("b.example.") {
			t.Error("a member that left is served")
		}
		// A zone in the configuration is never a catalog's.
		l.configure(transfer.Zone{Name: mustName(t, "a.example.")})
		l.publish("two", "id1.zones 0 IN PTR a.example.\nc.zones 0 IN PTR c.example.\n")
		l.members("two", "c.example.")
		// Without its catalog a member is not served.
		l.to.Configure(nil, nil)
		if l.to.serves("c.example.") || len(l.to.States()) != 0 {
			t.Error("members stay when their catalog is removed from the configuration")
		}
		cancel()
		l.to.Wait()
	})
}

// After a restart members are served at once, from disk, without network.
func TestCatalog_restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newCatalogLab(t, ctx)
		time.Sleep(time.Second)
		cancel()
		l.to.Wait()
		dir := t.TempDir()
		ctx, cancel = context.WithCancel(t.Context())
		l.to = newSite(t, transfer.Options{Dial: l.net.dial, Dir: dir})
		l.configure()
		l.to.Start(ctx)
		l.publish("one", "id1.zones 0 IN PTR a.example.\n")
		l.members("one", "a.example.")
		cancel()
		l.to.Wait()

		l.net.set("192.0.2.1:53", true)
		ctx, cancel = context.WithCancel(t.Context())
		l.to = newSite(t, transfer.Options{Dial: l.net.dial, Dir: dir})
		l.configure()
		l.to.Start(ctx)
		l.members("one", "a.example.")
		if n := l.to.state("a.example.").In.AXFR; n != 0 {
			t.Errorf("%d transfers of a member that is on disk", n)
		}
		cancel()
		l.to.Wait()

		// The id changed while we were away: what is on disk is of another zone of that name (RFC 9432, Section 5.4).
		if err := os.RemoveAll(filepath.Join(dir, "one.catalog.")); err != nil {
			t.Fatal(err)
		}
		l.net.set("192.0.2.1:53", false)
		l.to = nil
		l.publish("one", "id2.zones 0 IN PTR a.example.\n")
		ctx, cancel = context.WithCancel(t.Context())
		l.to = newSite(t, transfer.Options{Dial: l.net.dial, Dir: dir})
		l.configure()
		l.to.Start(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		l.members("one", "a.example.")
		if n := l.to.state("a.example.").In.AXFR; n != 1 {
			t.Errorf("%d transfers of a member whose id changed", n)
		}
		cancel()
		l.to.Wait()
	})
}
