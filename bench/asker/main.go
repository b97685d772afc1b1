// Command asker asks a resolver the questions of a file, so many at a time, and compares the answers with the truth of the lab
// (`anyu lab names --truth`): lines of name, type, RCODE, security and reason. RCODE with ! may be SERVFAIL as well; with ? AD is not compared.
//
// It shares no code with the server. It prints one line of counts, for scripts, and with -v one for each wrong answer.
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type question struct {
	name, typ, rcode, security, reason string
}

type verdict struct {
	q    question
	got  string // RCODE, "timeout", or "AD", "no AD" where the RCODE is right
	took time.Duration
}

func (v *verdict) right() bool { return v.got == "" }

func main() {
	server := flag.String("server", "127.0.0.1:5300", "address and port of the resolver")
	file := flag.String("questions", "", "file with the questions")
	inflight := flag.Int("inflight", 100, "questions at a time")
	timeout := flag.Duration("timeout", 10*time.Second, "how long to wait for an answer")
	rate := flag.Float64("rate", 0, "questions a second; 0: as fast as answers come")
	rounds := flag.Int("rounds", 1, "times through the file")
	ad := flag.Bool("ad", true, "compare AD")
	verbose := flag.Bool("v", false, "print each wrong answer")
	flag.Parse()
	questions, err := read(*file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "asker: %v\n", err)
		os.Exit(2)
	}
	questions = slices.Repeat(questions, *rounds)
	start := time.Now()
	results := ask(*server, questions, *inflight, *timeout, *ad, *rate)
	print(results, time.Since(start), *verbose)
}

func read(file string) (list []question, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		w := append(strings.Fields(s.Text()), "", "", "")
		if len(w) >= 5 {
			list = append(list, question{w[0], w[1], w[2], w[3], w[4]})
		}
	}
	return list, nil
}

// ask has each of so many askers take the next question, over a socket of its own.
func ask(server string, questions []question, inflight int, timeout time.Duration, ad bool, rate float64) []verdict {
	start := time.Now()
	results := make([]verdict, len(questions))
	var next atomic.Int64
	var work sync.WaitGroup
	for range inflight {
		work.Go(func() {
			conn, err := net.Dial("udp", server)
			if err != nil {
				fmt.Fprintf(os.Stderr, "asker: %v\n", err)
				os.Exit(2)
			}
			defer conn.Close()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(questions) {
					return
				}
				if rate > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
				}
				results[i] = one(conn, uint16(i), questions[i], timeout, ad)
			}
		})
	}
	work.Wait()
	return results
}

// one asks until there is an answer or the time is over; a datagram may be lost, so it is sent again.
func one(conn net.Conn, id uint16, q question, timeout time.Duration, ad bool) verdict {
	msg := message(id, q)
	start := time.Now()
	v := verdict{q: q, got: "timeout"}
	var buf [4096]byte
	for tries := range 2 {
		conn.Write(msg)
		conn.SetReadDeadline(start.Add(timeout / 2 * time.Duration(tries+1)))
		for {
			n, err := conn.Read(buf[:])
			if e, ok := err.(net.Error); ok && e.Timeout() {
				break
			}
			if err != nil { // refused: the resolver is not there (yet)
				time.Sleep(10 * time.Millisecond)
				if time.Since(start) > timeout {
					return v
				}
				continue
			}
			if n < 12 || binary.BigEndian.Uint16(buf[:]) != id {
				continue
			}
			v.got, v.took = compare(binary.BigEndian.Uint16(buf[2:]), q, ad), time.Since(start)
			return v
		}
	}
	v.took = time.Since(start)
	return v
}

var rcodes = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "7", "8", "9", "10", "11", "12", "13", "14", "15"}

func compare(flags uint16, q question, ad bool) string {
	want := strings.TrimRight(q.rcode, "!?")
	got := rcodes[flags&15]
	switch {
	case q.rcode == "":
		return ""
	case got != want && !(strings.Contains(q.rcode, "!") && got == "SERVFAIL"):
		return got
	case !ad || strings.Contains(q.rcode, "?") || got == "SERVFAIL":
		return ""
	case flags&0x20 != 0 && q.security != "secure":
		return "AD"
	case flags&0x20 == 0 && q.security == "secure":
		return "no-AD"
	}
	return ""
}

var types = map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43, "DNSKEY": 48, "SVCB": 64, "HTTPS": 65, "CAA": 257}

func message(id uint16, q question) []byte {
	m := binary.BigEndian.AppendUint16(nil, id)
	m = append(m, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1) // RD, AD
	for label := range strings.SplitSeq(strings.TrimSuffix(q.name, "."), ".") {
		if label != "" {
			m = append(append(m, byte(len(label))), label...)
		}
	}
	m = append(m, 0)
	m = binary.BigEndian.AppendUint16(m, types[q.typ])
	m = append(m, 0, 1)
	return append(m, 0, 0, 41, 4, 0xD0, 0, 0, 0x80, 0, 0, 0) // EDNS, 1232 octets, DO
}

// print prints the counts: how many were right, of those that can be resolved and of the others, and how long it took.
func print(results []verdict, took time.Duration, verbose bool) {
	var right, silent, good, goodRight int
	var times []time.Duration
	wrong := map[string]int{}
	for _, v := range results {
		answerable := !strings.HasPrefix(v.q.rcode, "SERVFAIL") && !strings.Contains(v.q.rcode, "!")
		if answerable {
			good++
		}
		times = append(times, v.took)
		if v.right() {
			right++
			if answerable {
				goodRight++
			}
			continue
		}
		if v.got == "timeout" {
			silent++
		}
		wrong[v.q.reason+" want "+v.q.rcode+"/"+v.q.security+" got "+v.got]++
		if verbose {
			fmt.Fprintf(os.Stderr, "%s %s: %s, want %s %s (%s)\n", v.q.name, v.q.typ, v.got, v.q.rcode, v.q.security, v.q.reason)
		}
	}
	slices.Sort(times)
	at := func(p float64) time.Duration { return times[int(p*float64(len(times)-1))].Round(time.Microsecond) }
	fmt.Printf("asked %d right %d answerable %d of-these-right %d silent %d seconds %.1f p50 %v p90 %v p99 %v max %v\n",
		len(results), right, good, goodRight, silent, took.Seconds(), at(.5), at(.9), at(.99), at(1))
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range wrong {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Printf("  %5d %s\n", wrong[k], k)
	}
}
