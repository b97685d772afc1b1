package resolve_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/nameserver"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

var update = flag.Bool("update", false, "rewrite the expected output of the scenarios in testdata")

// A scenario is a text archive: steps first, zone files after.
//
//	config WORD...                        minimise, nx (RFC 8020), stale, prefetch, dns64, private
//	server ADDRESS ZONE FILE [WORD...]    an honest server of a zone, from now on; lame, silent, refuses, or lost=N (the first N questions are lost)
//	forward ZONE ADDRESS                  ask a resolver for a zone
//	query NAME TYPE [+cd] [+norec]        a client asks, and waits
//	wait DURATION
//	----
//	RCODE                                 then EDE and its text, one line a record (AN, NS, AR), and what was sent: the questions, or how many
//
// The root server is 10.0.0.1. In zone files {1..60} stands for sixty lines. Each query step is followed by `----` and what came of it.
func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no scenarios")
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScenario(t, f) })
	}
}

// scene is one scenario being run.
type scene struct {
	t       *testing.T
	files   map[string]string
	config  resolve.Config
	pending pending.Config
	servers map[netip.Addr][]*authority
	now     int64
	table   *pending.Table
	engine  *resolve.Engine
	sent    []string
	done    *resolve.Answer
}

// authority is a server of a zone.
type authority struct {
	zone  wire.Name
	held  *serve.Held
	words map[string]bool
	lost  int
}

func runScenario(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(b)
	s := &scene{t: t, files: map[string]string{}, servers: map[netip.Addr][]*authority{}}
	s.config = resolve.Config{IPv4: true, Hints: []resolve.Host{{Name: name("ns.root."), Addresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}}}
	for _, f := range a.Files {
		s.files[f.Name] = string(f.Data)
	}
	var out bytes.Buffer
	lines := strings.Split(string(a.Comment), "\n")
	for i := 0; i < len(lines); i++ {
		fmt.Fprintln(&out, lines[i])
		words := strings.Fields(lines[i])
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		got := s.step(words)
		if got == "" {
			continue
		}
		var want strings.Builder
		if i+1 < len(lines) && lines[i+1] == "----" {
			for i += 2; i < len(lines) && lines[i] != "" && !isStep.MatchString(lines[i]); i++ {
				fmt.Fprintln(&want, lines[i])
			}
			i--
		}
		if got != want.String() && !*update {
			t.Errorf("%s: %s\ngot:\n%swant:\n%s", file, strings.Join(words, " "), got, want.String())
		}
		fmt.Fprintf(&out, "----\n%s", got)
	}
	if *update {
		a.Comment = bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var isStep = regexp.MustCompile(`^(config|server|forward|query|wait|#)`)

// step runs one step; a query gives what came of it.
func (s *scene) step(words []string) string {
	switch {
	case words[0] == "config":
		s.configure(words[1:])
	case words[0] == "server" && len(words) >= 4:
		s.serve(words)
	case words[0] == "forward" && len(words) == 3:
		host := resolve.Host{Addresses: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(words[2]), 53)}}
		s.config.Zones = append(s.config.Zones, resolve.Zone{Name: name(words[1]), Forward: true, Hosts: []resolve.Host{host}})
	case words[0] == "wait" && len(words) == 2:
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now += int64(d)
	case words[0] == "query" && len(words) >= 3:
		return s.query(words)
	default:
		s.t.Fatalf("unknown step: %s", strings.Join(words, " "))
	}
	return ""
}

func (s *scene) configure(words []string) {
	for _, w := range words {
		switch w {
		case "minimise":
			s.config.Minimise = true
		case "nx":
			s.config.BelowNX = true
		case "stale":
			s.pending.Stale, s.pending.StaleAfter = true, 1800*time.Millisecond
		case "prefetch":
			s.pending.Prefetch = true
		case "dns64":
			s.config.DNS64 = netip.MustParsePrefix("64:ff9b::/96")
		case "private":
			s.config.Private = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
		case "noloop":
			s.config.Forbidden = netip.Addr.IsLoopback
		default:
			s.t.Fatalf("config has no word %s", w)
		}
	}
}

var series = regexp.MustCompile(`\{1\.\.(\d+)\}`)

// expand writes the lines out that a {1..n} stands for.
func expand(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		m := series.FindStringSubmatch(line)
		if m == nil {
			out.WriteString(line)
			continue
		}
		n, _ := strconv.Atoi(m[1])
		for i := range n {
			out.WriteString(series.ReplaceAllString(line, strconv.Itoa(i+1)))
		}
	}
	return out.String()
}

func (s *scene) serve(words []string) {
	text, ok := s.files[words[3]]
	if !ok {
		s.t.Fatalf("no file %s", words[3])
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: name(words[2]), File: words[3], Workers: 1,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(expand(text))), nil }})
	if err != nil {
		s.t.Fatal(err)
	}
	a := &authority{zone: name(words[2]), held: serve.NewHeld(nil), words: map[string]bool{}}
	a.held.Put(a.zone, z)
	for _, w := range words[4:] {
		a.words[w] = true
		if n, ok := strings.CutPrefix(w, "lost="); ok {
			a.lost, _ = strconv.Atoi(n)
		}
	}
	addr := netip.MustParseAddr(words[1])
	s.servers[addr] = slices.DeleteFunc(s.servers[addr], func(b *authority) bool { return b.zone.Equal(a.zone) })
	s.servers[addr] = append(s.servers[addr], a)
}

// reply is what the server at an address says, or nil.
func (s *scene) reply(addr netip.Addr, q message.Question) *message.Message {
	var best *authority
	for _, a := range s.servers[addr] {
		if q.Name.IsSubdomainOf(a.zone) && (best == nil || len(a.zone) > len(best.zone)) {
			best = a
		}
	}
	switch {
	case best == nil && len(s.servers[addr]) == 0, best != nil && best.words["silent"]:
		return nil
	case best != nil && best.lost > 0:
		best.lost--
		return nil
	case best == nil || best.words["refuses"]:
		return &message.Message{Flags: wire.FlagQR, Rcode: wire.Refused, Questions: 1, Question: q}
	}
	m := best.held.Ask(best.zone, q)
	if best.words["lame"] {
		root := &message.RRset{Name: wire.Root(), Type: wire.TypeNS, Class: wire.ClassIN, TTL: 60, Data: [][]byte{name("ns.root.")}}
		m = &message.Message{Flags: wire.FlagQR, Authority: []*message.RRset{root}}
	}
	m.Questions, m.Question = 1, q
	return m
}

// query lets a client ask, and tells what came of it.
func (s *scene) query(words []string) string {
	if s.engine == nil {
		n := uint64(0)
		random := func() uint64 { n += 0x9e3779b97f4a7c15; return n >> 7 }
		store := cache.New(cache.Config{Bytes: 8 << 20, Seed: 1})
		s.engine = resolve.New(&s.config, resolve.Shared{Cache: store, Servers: nameserver.New(nameserver.Config{Seed: 1})}, random)
		s.table = pending.New(s.pending, s.engine, store)
	}
	t, ok := wire.ParseType(words[2])
	if !ok {
		s.t.Fatalf("no type %s", words[2])
	}
	s.done, s.sent = nil, nil
	flags := strings.Join(words[3:], " ")
	c := pending.Client{Addr: netip.MustParseAddr("127.0.0.1"), CacheOnly: strings.Contains(flags, "+norec"), Done: func(a *resolve.Answer) { s.done = a }}
	s.table.Ask(s.now, message.Question{Name: name(words[1]), Type: t, Class: wire.ClassIN}, strings.Contains(flags, "+cd"), c)
	for range 5000 {
		asks := s.engine.Asks()
		if len(asks) == 0 {
			break
		}
		for _, a := range asks {
			s.ask(a)
		}
	}
	return s.tell()
}

func (s *scene) ask(a resolve.Ask) {
	s.sent = append(s.sent, fmt.Sprintf("%s %s %s", a.Server.Addr(), a.Question.Name, a.Question.Type))
	m := s.reply(a.Server.Addr(), a.Question)
	if m == nil {
		end := s.now + int64(a.Timeout)
		if at, ok := s.table.Deadline(); ok && at < end {
			s.now = at
			s.table.Tick(at)
		}
		s.now = end
		s.engine.Outcome(s.now, a.ID, resolve.Outcome{Kind: resolve.TimedOut})
		return
	}
	s.now += int64(10 * time.Millisecond)
	s.engine.Outcome(s.now, a.ID, resolve.Outcome{Kind: resolve.Replied, Message: m, RTT: 10 * time.Millisecond})
}

// maxSent is how many questions are told one by one.
const maxSent = 8

func (s *scene) tell() string {
	if s.done == nil {
		s.t.Fatal("the client was not answered")
	}
	var out strings.Builder
	a := s.done
	fmt.Fprint(&out, a.Rcode)
	if a.Reason != event.NoReason {
		fmt.Fprintf(&out, " EDE %d %s", a.Reason, a.Text)
	}
	fmt.Fprintln(&out)
	for i, section := range [...][]*message.RRset{a.Answer, a.Authority, a.Additional} {
		for _, set := range section {
			for _, d := range set.Data {
				r := zone.Record{Owner: set.Name, Type: set.Type, TTL: set.TTL, RData: d}
				fmt.Fprintf(&out, "%s %s\n", [...]string{"AN", "NS", "AR"}[i], strings.Join(strings.Fields(string(zone.AppendRecordText(nil, r, wire.ClassIN))), " "))
			}
		}
	}
	if len(s.sent) > maxSent {
		fmt.Fprintf(&out, "sent %d questions\n", len(s.sent))
		return out.String()
	}
	for _, q := range s.sent {
		fmt.Fprintln(&out, "sent", q)
	}
	return out.String()
}
