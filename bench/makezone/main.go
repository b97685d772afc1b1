// Command makezone writes the zones and query lists of the benchmarks.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	names := flag.Int("names", 100_000, "names in the zone")
	zone := flag.String("zone", "bench.zone", "file to write")
	queries := flag.String("queries", "", "file of questions for kxdpgun to write")
	kind := flag.String("kind", "plain", "plain: one A record a name; delegations: two NS and some glue a name; nsec3: plain, signed with NSEC3; nsec3-nx: the same, asked for names that do not exist")
	flag.Parse()
	if err := write(*zone, func(w *bufio.Writer) { records(w, *names, *kind) }); err != nil {
		log.Fatal(err)
	}
	if strings.HasPrefix(*kind, "nsec3") {
		if err := sign(*zone); err != nil {
			log.Fatal(err)
		}
	}
	if *queries == "" {
		return
	}
	err := write(*queries, func(w *bufio.Writer) {
		flags, first := "", "host"
		if strings.HasPrefix(*kind, "nsec3") {
			flags = " D"
		}
		if *kind == "nsec3-nx" {
			first = "none"
		}
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(*names) {
			fmt.Fprintf(w, "%s%d.bench.test. A%s\n", first, i, flags)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
}

func write(file string, content func(*bufio.Writer)) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	content(w)
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func records(w *bufio.Writer, names int, kind string) {
	fmt.Fprint(w, "$ORIGIN bench.test.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\n")
	for i := range names {
		if kind == "delegations" {
			// 77 octets a delegation on average: two NS, every eighth with glue.
			fmt.Fprintf(w, "d%07d NS ns1.dns%04d.example.\nd%07d NS ns2.dns%04d.example.\n", i, i%5000, i, i%5000)
			if i%8 == 0 {
				fmt.Fprintf(w, "ns.d%07d A 192.0.%d.%d\n", i, i>>8&0xFF, i&0xFF)
			}
			continue
		}
		fmt.Fprintf(w, "host%d A 192.0.%d.%d\n", i, i>>8&0xFF, i&0xFF)
	}
}

// sign signs a zone with Knot's offline signer.
func sign(file string) error {
	dir, err := os.MkdirTemp("", "anyu-keys")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	conf := filepath.Join(dir, "knot.conf")
	text := fmt.Sprintf(`database:
    storage: %[1]s
policy:
  - id: bench
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
template:
  - id: default
    storage: %[1]s
    zonefile-sync: -1
zone:
  - domain: bench.test
    file: %[2]s
    dnssec-signing: on
    dnssec-policy: bench
`, dir, file)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	out, err := exec.Command("kzonesign", "-c", conf, "-o", dir, "bench.test").CombinedOutput()
	if err != nil {
		return fmt.Errorf("kzonesign: %w: %s", err, out)
	}
	signed, err := os.ReadFile(filepath.Join(dir, filepath.Base(file)))
	if err != nil {
		return err
	}
	return os.WriteFile(file, signed, 0o644)
}
