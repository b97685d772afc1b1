// Command first asks a server for a name, every few milliseconds, until the first right answer: NOERROR with a referral or an
// address. A shell loop around dig would add its own start-up to the time.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/miekg/dns"
)

func main() {
	server := flag.String("server", "127.0.0.1:5300", "address and port")
	name := flag.String("name", "example.org", "name to ask the address of")
	wait := flag.Duration("wait", time.Minute, "how long to try")
	flag.Parse()
	c := dns.Client{Timeout: 20 * time.Millisecond}
	for end := time.Now().Add(*wait); time.Now().Before(end); {
		m := new(dns.Msg).SetQuestion(dns.Fqdn(*name), dns.TypeA)
		m.RecursionDesired = false // the referral is asked for: a server that also recurses would follow it
		r, _, err := c.Exchange(m, *server)
		if err == nil && r.Rcode == dns.RcodeSuccess && len(r.Ns)+len(r.Answer) > 0 {
			return
		}
		if _, refused := err.(*net.OpError); refused || err == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	fmt.Fprintln(os.Stderr, "no right answer")
	os.Exit(1)
}
