package transfer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/transfer"
)

// network joins sites without a kernel: a dialled connection is a pipe to the site with that address. It runs under a simulated clock.
type network struct {
	mu    sync.Mutex
	sites map[string]*site
	down  map[string]bool
	dials int
}

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	s := n.sites[address]
	if s == nil || n.down[address] {
		return nil, errors.New("no route to host")
	}
	a, b := net.Pipe()
	if kind == "udp" {
		go func() {
			defer b.Close()
			buf := make([]byte, 65535)
			c, err := b.Read(buf)
			if err != nil {
				return
			}
			if out := answer(s, buf[:c], netip.MustParseAddrPort("192.0.2.1:53")); out != nil {
				b.Write(out)
			}
		}()
		return a, nil
	}
	go serveStream(s, b)
	return a, nil
}

// dialled counts connections.
func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) set(address string, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down == nil {
		n.down = map[string]bool{}
	}
	n.down[address] = down
}

func remote(address string, k *tsig.Key) transfer.Remote {
	return transfer.Remote{Address: netip.MustParseAddrPort(address), Key: k}
}

// pair is a primary at 192.0.2.1:53 and a secondary of it, joined by a network, under the clock of the bubble.
func pair(t *testing.T, ctx context.Context, conf transfer.Zone, z *zone.Zone) (*network, *site, *site) {
	t.Helper()
	from := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	n := &network{sites: map[string]*site{"192.0.2.1:53": from}}
	to := newSite(t, transfer.Options{Dial: n.dial})
	conf.Name = z.Apex()
	if conf.Primaries == nil {
		conf.Primaries = []transfer.Remote{remote("192.0.2.1:53", nil)}
	}
	to.Configure([]transfer.Zone{conf}, nil)
	to.Start(ctx)
	t.Cleanup(to.Wait)
	return n, from, to
}

// A secondary from its first transfer to its end and back, under a simulated clock (RFC 1034, Section 4.3.5). The SOA of the
// test zones: refresh 100, retry 20, expire 400. servers.md 5.1, case 39.
func TestSecondary_life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v1 := version(t, 1, "a")
		n, from, to := pair(t, ctx, transfer.Zone{}, v1)
		synctest.Wait()
		sameZone(t, to.zone(apex), v1)

		v2 := version(t, 2, "a", "b")
		from.Published(v1.Apex(), v1, v2)
		time.Sleep(101 * time.Second) // refresh
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		if in := to.state(apex).In; in.AXFR != 1 || in.IXFR != 1 {
			t.Errorf("transfers %+v, want one of each", in)
		}

		n.set("192.0.2.1:53", true)
		expires := to.state(apex).Expires
		if life := time.Until(expires); life < 300*time.Second || life > 400*time.Second {
			t.Fatalf("expires in %v", life)
		}
		time.Sleep(time.Until(expires) - time.Second)
		synctest.Wait()
		if to.zone(apex) == nil {
			t.Fatal("expired before its time")
		}
		if !to.findings.has("zone-transfer", apex) || !strings.Contains(to.findings.fact("zone-transfer", apex, "primary"), "192.0.2.1:53") {
			t.Error("no finding says which primary fails")
		}
		before := n.dialled()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if to.zone(apex) != nil || !to.findings.has("zone-expired", apex) || !to.state(apex).Expired || !to.serves(apex) {
			t.Fatalf("after 400 s without a primary: %+v", to.state(apex))
		}
		if n.dialled()-before > 10 {
			t.Errorf("%d tries in two seconds", n.dialled()-before)
		}

		n.set("192.0.2.1:53", false)
		time.Sleep(21 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		if to.findings.has("zone-expired", apex) || to.findings.has("zone-transfer", apex) {
			t.Error("findings stay open after the primary came back")
		}
		cancel()
		to.Wait()
	})
}

// NOTIFY makes a secondary fetch at once, not at the next refresh (RFC 1996, Section 3); the secondary tells its own secondaries.
func TestSecondary_notify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v1 := version(t, 1, "a")
		n, from, to := pair(t, ctx, transfer.Zone{AllowTransfer: everybody(), Secondaries: []transfer.Remote{remote("192.0.2.3:53", nil)}}, v1)
		third := newSite(t, transfer.Options{Dial: n.dial})
		n.mu.Lock()
		n.sites["192.0.2.2:53"], n.sites["192.0.2.3:53"] = to, third
		n.mu.Unlock()
		third.Configure([]transfer.Zone{{Name: v1.Apex(), Primaries: []transfer.Remote{remote("192.0.2.2:53", nil)}, AllowNotify: everybody()}}, nil)
		third.Start(ctx)
		from.Configure([]transfer.Zone{{Name: v1.Apex(), AllowTransfer: everybody(), Secondaries: []transfer.Remote{remote("192.0.2.2:53", nil)}}}, nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		sameZone(t, third.zone(apex), v1)
		v2 := version(t, 2, "b")
		from.Published(v1.Apex(), v1, v2)
		heard := time.Now()
		msg := notifyOf(t, 2)
		if out := answer(to, msg, netip.MustParseAddrPort("192.0.2.1:53")); out == nil || out[3]&15 != 0 {
			t.Fatalf("NOTIFY is answered %x", out)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		sameZone(t, third.zone(apex), v2)
		to.mu.Lock()
		if got := to.served[apex].Heard; !got.Equal(heard) {
			t.Errorf("heard of version 2 at %v, not with the NOTIFY at %v", got, heard)
		}
		to.mu.Unlock()
		told := to.state(apex).Secondaries
		if len(told) != 1 || told[0].Serial != 2 || told[0].Acked.IsZero() {
			t.Errorf("told %+v", told)
		}
		cancel()
		to.Wait()
		third.Wait()
	})
}

// A secondary that does not answer is told again, with longer pauses, and then given up; a newer version begins anew
// (RFC 1996, Section 3.6).
func TestNotify_repeatsAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := &network{sites: map[string]*site{}}
		s := newSite(t, transfer.Options{Dial: n.dial})
		v1, v2 := version(t, 1), version(t, 2)
		s.Configure([]transfer.Zone{{Name: v1.Apex(), Secondaries: []transfer.Remote{remote("192.0.2.9:53", nil)}}}, nil)
		s.Start(ctx)
		s.Published(v1.Apex(), nil, v1)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if told := s.state(apex).Secondaries[0]; told.Tries != 2 || told.Error == "" || !told.Acked.IsZero() {
			t.Errorf("after 3 s: %+v", told)
		}
		s.Published(v1.Apex(), v1, v2)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if told := s.state(apex).Secondaries[0]; told.Tries != 6 || told.Serial != 2 {
			t.Errorf("after 10 min: %+v", told)
		}
		if n.dialled() > 8 {
			t.Errorf("%d tries for two versions", n.dialled())
		}
		cancel()
		s.Wait()
	})
}

// After a restart without network the last copy is served at once: the snapshot and the steps after it.
func TestSecondary_restartsFromDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		v1, v2 := version(t, 1, "a", "b", "c"), version(t, 2, "a", "b", "d")
		from := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, v1)
		n := &network{sites: map[string]*site{"192.0.2.1:53": from}}
		conf := []transfer.Zone{{Name: v1.Apex(), Primaries: []transfer.Remote{remote("192.0.2.1:53", nil)}, AllowTransfer: everybody()}}
		to := newSite(t, transfer.Options{Dial: n.dial, Dir: dir})
		to.Configure(conf, nil)
		to.Start(ctx)
		synctest.Wait()
		from.Published(v1.Apex(), v1, v2)
		time.Sleep(110 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		cancel()
		to.Wait()

		n.set("192.0.2.1:53", true)
		for _, c := range []struct {
			pause time.Duration
			want  *zone.Zone
		}{{time.Second, v2}, {380 * time.Second, v2}, {30 * time.Second, nil}} {
			time.Sleep(c.pause)
			ctx, cancel := context.WithCancel(t.Context())
			again := newSite(t, transfer.Options{Dial: n.dial, Dir: dir})
			again.Configure(conf, nil)
			if again.zone(apex) != nil || !again.serves(apex) {
				t.Error("before Start the zone is not ours, or is there already")
			}
			again.Start(ctx)
			if c.want != nil {
				sameZone(t, again.zone(apex), c.want)
				if rr := records(stream(t, again, ixfr(apex, 1))); len(rr) < 3 || !strings.Contains(rr[1], " 1 100 20") {
					t.Errorf("the history is not used after a restart: %v", rr)
				}
			} else {
				synctest.Wait()
				if again.zone(apex) != nil {
					t.Error("an expired copy is served")
				}
			}
			cancel()
			again.Wait()
		}
	})
}

// What the policy refuses is not served, and the version before goes on (servers.md 3.2, transfer trust).
func TestSecondary_policy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v1, v2 := version(t, 1, "a"), version(t, 2, "evil")
		_, from, to := pair(t, ctx, transfer.Zone{Accept: func(z *zone.Zone) error {
			if z.Serial() == 2 {
				return errors.New("its digest does not hold")
			}
			return nil
		}}, v1)
		synctest.Wait()
		from.Published(v1.Apex(), v1, v2)
		time.Sleep(150 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v1)
		if !strings.Contains(to.findings.fact("zone-transfer", apex, "error"), "its digest does not hold") {
			t.Errorf("the finding does not say why: %s", to.findings.fact("zone-transfer", apex, "error"))
		}
		v3 := version(t, 3, "good")
		from.Published(v1.Apex(), v2, v3)
		time.Sleep(60 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v3)
		if to.findings.has("zone-transfer", apex) {
			t.Error("the finding stays open")
		}
		cancel()
		to.Wait()
	})
}

// A primary behind us is no reason to go back; the finding names both serials. case 72
func TestSecondary_primaryBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v5 := version(t, 5, "a")
		_, from, to := pair(t, ctx, transfer.Zone{}, v5)
		synctest.Wait()
		from.Published(v5.Apex(), v5, version(t, 4, "old"))
		time.Sleep(110 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v5)
		if text := to.findings.fact("zone-transfer", apex, "error"); !strings.Contains(text, "serial 4") || !strings.Contains(text, "5") {
			t.Errorf("finding: %q", text)
		}
		// A person may want it all the same.
		if err := to.Transfer(v5.Apex()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if z := to.zone(apex); z.Serial() != 4 {
			t.Errorf("serial %d after `control transfer`", z.Serial())
		}
		cancel()
		to.Wait()
	})
}

// Changes that do not fit our copy make us fetch the whole zone from the same primary. case 71
func TestSecondary_changesDoNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v1 := version(t, 1, "a", "b")
		_, from, to := pair(t, ctx, transfer.Zone{}, v1)
		synctest.Wait()
		// The primary changed its zone and kept the serial; then it made a step from there.
		other := version(t, 1, "x", "y", "z")
		from.Published(v1.Apex(), v1, other)
		v2 := version(t, 2, "x", "y")
		from.Published(v1.Apex(), other, v2)
		time.Sleep(110 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		if in := to.state(apex).In; in.AXFR != 2 || in.IXFR != 0 {
			t.Errorf("transfers %+v, want two of the whole zone", in)
		}
		cancel()
		to.Wait()
	})
}

// Several primaries: the next is asked when one is dead, and the zone stays fresh.
func TestSecondary_secondPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v1, v2 := version(t, 1, "a"), version(t, 2, "b")
		n, _, to := pair(t, ctx, transfer.Zone{Primaries: []transfer.Remote{remote("192.0.2.1:53", nil), remote("192.0.2.7:53", nil)}}, v1)
		synctest.Wait()
		n.set("192.0.2.1:53", true)
		n.mu.Lock()
		n.sites["192.0.2.7:53"] = primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, v1, v2)
		n.mu.Unlock()
		time.Sleep(130 * time.Second)
		synctest.Wait()
		sameZone(t, to.zone(apex), v2)
		if s := to.state(apex); !strings.HasPrefix(s.Primary, "192.0.2.7") || s.Error != "" {
			t.Errorf("state %+v", s)
		}
		cancel()
		to.Wait()
	})
}

// TSIG in and out, over real sockets: the right key brings the zone, a wrong one a finding that says so.
func TestSecondary_tsig(t *testing.T) {
	good := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	wrong := &tsig.Key{Name: good.Name, Secret: []byte("wrong")}
	z := version(t, 1, "a")
	from := primary(t, transfer.Zone{AllowTransfer: transfer.Who{Keys: []wire.Name{good.Name}}}, []*tsig.Key{good}, z)
	address := serveOn(t, from)
	for key, works := range map[*tsig.Key]bool{good: true, wrong: false, nil: false} {
		to := newSite(t, transfer.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		to.Configure([]transfer.Zone{{Name: z.Apex(), Primaries: []transfer.Remote{{Address: address, Key: key}}}}, nil)
		to.Start(ctx)
		if works {
			eventually(t, "the zone", func() bool { return to.zone(apex) != nil })
			sameZone(t, to.zone(apex), z)
		} else {
			eventually(t, "a finding", func() bool { return to.findings.has("zone-transfer", apex) })
			if text := to.findings.fact("zone-transfer", apex, "error"); key != nil && !strings.Contains(text, "BADSIG") || key == nil && !strings.Contains(text, "REFUSED") {
				t.Errorf("finding: %s", text)
			}
		}
		cancel()
		to.Wait()
	}
}

// The certificate must have the name in the configuration (RFC 9103, Section 9.3.1), the server must speak DNS over TLS.
func TestSecondary_tls(t *testing.T) {
	z := version(t, 1, "a")
	from := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	certificate, roots := selfSigned(t, "primary.example")
	for _, c := range []struct {
		name, host string
		server     *tls.Config
		want       string
	}{
		{"right name", "primary.example", &tls.Config{NextProtos: []string{"dot"}}, ""},
		{"other name", "other.example", &tls.Config{NextProtos: []string{"dot"}}, "other.example"},
		{"no ALPN", "primary.example", &tls.Config{}, "ALPN"},
		{"old TLS", "primary.example", &tls.Config{NextProtos: []string{"dot"}, MaxVersion: tls.VersionTLS12}, "version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.Certificates = []tls.Certificate{certificate}
			l, err := tls.Listen("tcp", "127.0.0.1:0", c.server)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go serveStream(from, conn)
				}
			}()
			to := newSite(t, transfer.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			to.Configure([]transfer.Zone{{Name: z.Apex(), Primaries: []transfer.Remote{{
				Address: netip.MustParseAddrPort(l.Addr().String()), TLS: &tls.Config{ServerName: c.host, RootCAs: roots},
			}}}}, nil)
			to.Start(ctx)
			if c.want == "" {
				eventually(t, "the zone", func() bool { return to.zone(apex) != nil })
			} else {
				eventually(t, "a finding", func() bool { return to.findings.has("zone-transfer", apex) })
				if text := to.findings.fact("zone-transfer", apex, "error"); !strings.Contains(text, c.want) {
					t.Errorf("finding: %s", text)
				}
			}
			cancel()
			to.Wait()
		})
	}
}

// A configuration that changes keeps what stays: no zone is fetched again, none that was removed is served.
func TestConfigure_keepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := &network{sites: map[string]*site{}}
		var list []transfer.Zone
		for i := range 4 {
			name := fmt.Sprintf("zone%d.example.", i)
			z := load(t, name, "@ 3600 IN SOA ns admin 1 100 20 400 60\n@ 3600 IN NS ns\n")
			at := fmt.Sprintf("192.0.2.%d:53", i+1)
			n.sites[at] = primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
			list = append(list, transfer.Zone{Name: z.Apex(), Primaries: []transfer.Remote{remote(at, nil)}})
		}
		to := newSite(t, transfer.Options{Dial: n.dial})
		to.Configure(list[:3], nil)
		to.Start(ctx)
		synctest.Wait()
		fetched := n.dialled()
		to.Configure(list[1:], nil)
		synctest.Wait()
		if to.serves("zone0.example.") || to.zone("zone1.example.") == nil || to.zone("zone3.example.") == nil {
			t.Error("removed zone is served, or another is not")
		}
		if n.dialled() != fetched+1 {
			t.Errorf("%d connections for one new zone", n.dialled()-fetched)
		}
		// A secondary becomes a primary: its transfers end, whoever serves it.
		to.Configure([]transfer.Zone{{Name: list[1].Name}}, nil)
		if s := to.state("zone1.example."); s.Role != "primary" || len(to.States()) != 1 {
			t.Errorf("state %+v", s)
		}
		cancel()
		to.Wait()
	})
}
