// Package lab is a simulated Internet, made from one seed: zones to serve and clients that ask.
//
// It promises: the same seed gives the same zones and the same questions in the same order; no root and no network are needed,
// clients use addresses of 127.0.0.0/8 and nothing else. It refuses to look like anybody's real names: everything lives
// under "lab.", which is delegated nowhere.
//
// Limits today: what `anyu serve --lab` needs to have something to see. Roots, TLDs and servers that are broken in every known
// way come with the resolver.
package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Zone is one zone of the lab, as a master file.
type Zone struct {
	Name string
	Text []byte
	// Names that exist, for clients to ask; most asked first.
	Names []string
}

// Load reads the zone.
func (z *Zone) Load(ctx context.Context) (*zone.Zone, error) {
	name, err := wire.ParseName(z.Name)
	if err != nil {
		return nil, fmt.Errorf("loading a zone of the lab: %w", err)
	}
	loaded, _, err := zone.Load(ctx, zone.LoadOptions{Name: name, File: "lab:" + z.Name,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(z.Text)), nil }})
	if err != nil {
		return nil, fmt.Errorf("loading a zone of the lab: %w", err)
	}
	return loaded, nil
}

// kinds of zones: how many hosts, and whether there is a wildcard.
var kinds = [...]struct {
	name     string
	hosts    int
	wildcard bool
}{
	{"shop.lab.", 2000, false}, {"news.lab.", 400, true}, {"bank.lab.", 60, false}, {"video.lab.", 5000, true}, {"school.lab.", 300, false}, {"gov.lab.", 120, false},
}

// Zones makes the zones of a seed: one with many delegations, and some with hosts.
func Zones(seed uint64) []Zone {
	r := rand.New(rand.NewPCG(seed, 1))
	list := []Zone{parent(r)}
	for _, k := range kinds {
		list = append(list, hosts(r, k.name, k.hosts, k.wildcard))
	}
	return list
}

const head = "$ORIGIN %s\n$TTL 3600\n@ SOA ns1 hostmaster 2026112301 7200 3600 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 198.51.100.1\nns1 AAAA 2001:db8::1\nns2 A 198.51.100.2\n"

// parent is a zone like a registry's: delegations with and without glue.
func parent(r *rand.Rand) Zone {
	z := Zone{Name: "lab."}
	var b bytes.Buffer
	fmt.Fprintf(&b, head, z.Name)
	for i := range 3000 {
		name := word(r) + fmt.Sprint(i)
		fmt.Fprintf(&b, "%s NS ns1.%s\n", name, name)
		fmt.Fprintf(&b, "ns1.%s A 198.51.%d.%d\n", name, 100+r.IntN(2), r.IntN(256))
		z.Names = append(z.Names, name+".lab.")
	}
	z.Text = b.Bytes()
	return z
}

func hosts(r *rand.Rand, name string, count int, wildcard bool) Zone {
	z := Zone{Name: name}
	var b bytes.Buffer
	fmt.Fprintf(&b, head, name)
	fmt.Fprint(&b, "@ MX 10 mail\n@ TXT \"v=spf1 mx -all\"\nwww CNAME web0\nmail A 203.0.113.25\n_sip._tcp SRV 10 5 5060 web0\n@ HTTPS 1 . alpn=h2,h3\n")
	z.Names = append(z.Names, "www."+name, name, "mail."+name)
	for i := range count {
		host := word(r) + fmt.Sprint(i)
		if i < 3 {
			host = "web" + fmt.Sprint(i)
		}
		fmt.Fprintf(&b, "%s A 203.0.113.%d\n", host, r.IntN(256))
		if i%3 == 0 {
			fmt.Fprintf(&b, "%s AAAA 2001:db8:%x::%x\n", host, r.IntN(1<<16), i)
		}
		z.Names = append(z.Names, host+"."+name)
	}
	if wildcard {
		fmt.Fprint(&b, "*.user A 203.0.113.200\n")
	}
	z.Text = b.Bytes()
	return z
}

var syllables = [...]string{"an", "yu", "bei", "jing", "lan", "hai", "ming", "shan", "xi", "zhou", "tai", "lin"}

func word(r *rand.Rand) string {
	return syllables[r.IntN(len(syllables))] + syllables[r.IntN(len(syllables))]
}
