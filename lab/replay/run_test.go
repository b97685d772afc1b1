package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"anyu/lab/replay"
)

// expect runs a scenario and checks how it ends.
func expect(t *testing.T, text string, system replay.Factory, pass bool) replay.Result {
	t.Helper()
	suite := replay.Suite{System: system, Verbose: true}
	r := suite.Scenario(context.Background(), "t.rpl", []byte(text))
	if (r.Status == replay.StatusPassed) != pass || !pass && r.Status != replay.StatusFailed {
		t.Errorf("%s: %s\n%s%s", r.Status, r.Reason, r.Trace, r.Detail)
	}
	return r
}

// entry writes an entry: words of MATCH and REPLY, then a question and what else.
func entry(match, reply, question string, more ...string) string {
	return "ENTRY_BEGIN\nMATCH " + match + "\nADJUST copy_id copy_query\nREPLY " + reply + "\nSECTION QUESTION\n" + question + "\n" +
		strings.Join(append(more, "ENTRY_END\n"), "\n")
}

const (
	fwd     = "forward-zone: name: \".\" forward-addr: 192.0.2.1\nCONFIG_END\nSCENARIO_BEGIN t\n"
	answerA = "SECTION ANSWER\nwww.example. 60 IN A 192.0.2.80"
	answerB = "SECTION ANSWER\nwww.example. 60 IN A 192.0.2.90"
)

var (
	asks    = "STEP 10 QUERY\n" + entry("", "RD", "www.example. IN A")
	checks  = "STEP 20 CHECK_ANSWER\n" + entry("all", "QR RD RA NOERROR", "www.example. IN A", answerA)
	replies = entry("opcode qtype qname", "QR NOERROR", "www.example. IN A", answerA)
	others  = entry("opcode qtype qname", "QR NOERROR", "www.example. IN A", answerB)
)

func ranged(first, last string, text string) string {
	return "RANGE_BEGIN " + first + " " + last + "\nADDRESS 192.0.2.1\n" + text + "RANGE_END\n"
}

// The order of ranges, entries and steps is the meaning of a scenario. Those that must fail are as important as those that pass.
func TestRun_keepsTheOrder(t *testing.T) {
	out := func(step string, adjust bool) string {
		e := replies
		if !adjust {
			e = strings.Replace(e, "ADJUST copy_id copy_query\n", "", 1)
		}
		return "STEP " + step + " CHECK_OUT_QUERY ADDRESS 192.0.2.1\n" + e
	}
	for _, c := range []struct {
		name, text string
		pass       bool
	}{
		{"a range answers", ranged("0", "100", replies) + asks + checks, true},
		{"the answer is another", ranged("0", "100", others) + asks + checks, false},
		{"no range answers", asks + checks, false},
		{"the range lives while the step waits that comes after the query", ranged("20", "20", replies) + asks + checks, true},
		{"a range of the query's own step is over", ranged("10", "10", replies) + asks + checks, false},
		{"another address", strings.Replace(ranged("0", "100", replies), "ADDRESS 192.0.2.1", "ADDRESS 192.0.2.2", 1) + asks + checks, false},
		{"no address is any", strings.Replace(ranged("0", "100", replies), "ADDRESS 192.0.2.1\n", "", 1) + asks + checks, true},
		{"the last range is first", ranged("0", "100", others) + ranged("0", "100", replies) + asks + checks, true},
		{"the first range is not", ranged("0", "100", replies) + ranged("0", "100", others) + asks + checks, false},
		{"the first entry is first", ranged("0", "100", replies+others) + asks + checks, true},
		{"a range without an entry leaves it to the next", ranged("0", "100", replies) + ranged("0", "100", entry("qtype", "QR", "x. IN MX")) + asks + checks, true},
		{"an answer nobody checks", ranged("0", "100", replies) + asks, false},
		{"a query nobody answers", asks, false},
		{"an answer checked twice", ranged("0", "100", replies) + asks + checks + strings.Replace(checks, "20", "30", 1), false},
		{"a query seen while it is sent stays outstanding", asks + out("15", true) + checks, false},
		{"a query seen later is answered", asks + "STEP 12 NOTHING\n" + out("15", true) + checks, true},
		{"the query is seen, a range answers", ranged("16", "100", replies) + asks + out("15", false) + checks, true},
		{"the query is seen and nobody answers", asks + out("15", false) + checks, false},
		{"the query is not sent", asks + strings.Replace(out("15", true), "ADDRESS 192.0.2.1", "ADDRESS 192.0.2.3", 1) + checks, false},
		{"a reply by a step", asks + "STEP 15 REPLY\n" + replies + checks, true},
		{"a reply to nothing", "STEP 5 REPLY\n" + replies + ranged("0", "100", replies) + asks + checks, false},
		{"time out, ask again", asks + "STEP 11 TIMEOUT\nSTEP 12 ERROR\nSTEP 13 NOTHING\nSTEP 15 REPLY\n" + replies + checks, true},
		{"a message that is no reply is silence", ranged("0", "19", entry("", "NOERROR", "www.example. IN A")) + asks + checks, false},
		{"traffic goes first", ranged("15", "15", replies) + asks + "STEP 15 TRAFFIC\n" + checks, true},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, fwd+c.text+"SCENARIO_END\n", newWalker, c.pass) })
	}
}

func TestRun_sendsAnswersToTheirClients(t *testing.T) {
	from := strings.Replace(asks, "QUERY\n", "QUERY\nADDRESS 198.51.100.1\n", 1)
	to := func(a string) string { return strings.Replace(checks, "ANSWER\n", "ANSWER\nADDRESS "+a+"\n", 1) }
	expect(t, fwd+ranged("0", "100", replies)+from+to("198.51.100.1")+"SCENARIO_END\n", newWalker, true)
	expect(t, fwd+ranged("0", "100", replies)+from+to("198.51.100.2")+"SCENARIO_END\n", newWalker, false)
}

// timed is a walker that wants to be woken at a time of its own, and asks the clock then.
func timed(at int64) replay.Factory {
	return func(s replay.Settings) (replay.System, error) {
		return &walker{set: s, tasks: map[uint64]*walk{}, timer: at, onWake: func(now int64) []replay.Output {
			s.Files.Write("woken", []byte("now. "+strconv.FormatInt(now/1e9, 10)+" IN A 192.0.2.1\n"))
			return nil
		}}, nil
	}
}

func TestRun_movesTheClockInSteps(t *testing.T) {
	file := func(ttl string) string {
		return "STEP 90 CHECK_TEMPFILE woken\nFILE_BEGIN\nnow. " + ttl + " IN A 192.0.2.1\nFILE_END\n"
	}
	passes := "STEP 1 ASSIGN t = ${timeout}\nSTEP 2 ASSIGN r = ${range 9 $t 10}\nSTEP 3 TIME_PASSES ELAPSE 4.5\nSTEP 4 TIME_PASSES EVAL ${$t - 2 * 2}\n"
	for _, c := range []struct {
		name, text string
		pass       bool
	}{
		{"the timer runs once its time is over, at the new time", passes + file("${time - 0.5}"), false},
		{"left to right, the clock is at 4.5 + (10 - 2) * 2", passes + file("20"), true},
		{"the timer does not run before", "STEP 3 TIME_PASSES ELAPSE 9\n" + file("9"), false},
		{"out of range", "STEP 1 ASSIGN r = ${range 11 ${timeout} 12}\n", false},
		{"an unknown variable", "STEP 1 ASSIGN r = ${$nobody}\n", false},
		{"no timer is armed: 0", passes + "STEP 91 ASSIGN t = ${timeout}\nSTEP 92 ASSIGN u = ${range 0 $t 0}\n", true},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, fwd+c.text+"SCENARIO_END\n", timed(10e9), c.pass) })
	}
}

func TestRun_skipsByWhatTheFileAsksFor(t *testing.T) {
	for _, c := range []struct{ text, cause string }{
		{"server:\nmodule-config: \"cachedb iterator\"\n", "module cachedb"},
		{"server:\nserve-original-ttl: yes\n", "option serve-original-ttl"},
		{"server:\nsomething-new: 3\n", "option something-new"},
		{"features: static_hint_name = x\n", "feature features"},
		{"features: x = 1\n", "option features"},
	} {
		r := (&replay.Suite{System: newWalker}).Scenario(context.Background(), "iter_x.rpl", []byte(c.text+"CONFIG_END\nSCENARIO_BEGIN t\nSCENARIO_END\n"))
		if r.Status != replay.StatusSkipped || !strings.HasPrefix(r.Reason, c.cause+":") {
			t.Errorf("%q: %s: %s", c.text, r.Status, r.Reason)
		}
	}
	r := (&replay.Suite{System: newWalker}).Scenario(context.Background(), "x.rpl", []byte("server:\nserve-original-ttl: no\nCONFIG_END\nSCENARIO_BEGIN t\nSCENARIO_END\n"))
	if r.Status != replay.StatusPassed {
		t.Errorf("an option that is off is a cause: %s", r.Reason)
	}
}

func TestSkips_areOneTable(t *testing.T) {
	a, err := os.ReadFile("skips.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "rpl-skips.txt"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("testdata/rpl-skips.txt is not the table that the runner uses: %v", err)
	}
}

// deckardFile is a scenario of the other dialect.
func deckardFile(text string) string {
	return "stub-addr: 192.0.2.1\nCONFIG_END\nSCENARIO_BEGIN t\n" + text + "SCENARIO_END\n"
}

func TestRun_deckardKeepsItsOwnOrder(t *testing.T) {
	for _, c := range []struct {
		name, text string
		pass       bool
	}{
		{"the first range is the range", ranged("0", "100", replies) + ranged("0", "100", others) + asks + checks, true},
		{"the last is not", ranged("0", "100", others) + ranged("0", "100", replies) + asks + checks, false},
		{"the range lives at the step of the query", ranged("10", "10", replies) + asks + checks, true},
		{"and not at the next", ranged("20", "20", replies) + asks + checks, false},
		{"a range without an entry is the range all the same", ranged("0", "100", entry("qtype", "QR", "x. IN MX")) + ranged("0", "100", replies) + asks + checks, false},
		{"a step answers once", asks + checks + "STEP 30 REPLY\n" + replies, true},
		{"and only once", asks + checks + strings.NewReplacer("10", "22", "20", "24").Replace(asks+checks) + "STEP 30 REPLY\n" + replies, false},
		{"an entry that must be used", ranged("0", "100", replies+strings.Replace(others, "ADJUST", "MANDATORY\nADJUST", 1)) + asks + checks, false},
		{"nobody answers", ranged("0", "100", strings.Replace(replies, "copy_query", "copy_query do_not_answer", 1)) + asks + checks, false},
		{"octets that are no message", "STEP 1 QUERY\nENTRY_BEGIN\nRAW\n0000ff\nENTRY_END\n" + ranged("0", "100", replies) + asks + checks, true},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, deckardFile(c.text), newWalker, c.pass) })
	}
}

// Two runs of one file are one run.
func TestRun_isRepeatable(t *testing.T) {
	text := fwd + ranged("0", "100", replies) + asks + checks + "SCENARIO_END\n"
	a, b := expect(t, text, newWalker, true), expect(t, text, newWalker, true)
	if len(a.Trace) == 0 || !bytes.Equal(a.Trace, b.Trace) {
		t.Errorf("%s\nis not\n%s", a.Trace, b.Trace)
	}
}

// A system that stands in a circle ends at the limit of rounds, and one that panics fails its file alone.
func TestRun_boundsBadSystems(t *testing.T) {
	circle := ranged("0", "100", entry("", "QR NOERROR", "www.example. IN A", "SECTION AUTHORITY\nexample. NS ns.example.\nSECTION ADDITIONAL\nns.example. A 192.0.2.1"))
	if r := expect(t, fwd+circle+asks+checks+"SCENARIO_END\n", newWalker, false); !strings.Contains(r.Reason, "5000 rounds") {
		t.Error(r.Reason)
	}
	broken := func(replay.Settings) (replay.System, error) {
		return answering{func([]byte) []byte { panic("broken") }}, nil
	}
	if r := expect(t, fwd+asks+checks+"SCENARIO_END\n", broken, false); !strings.Contains(r.Reason, "panic: broken") {
		t.Error(r.Reason)
	}
}

// second asks 192.0.2.1, and 192.0.2.2 when it is woken.
type second struct {
	walker
	wait int64
	w    *walk
}

func (s *second) Handle(now int64, in replay.Input) []replay.Output {
	out := s.walker.Handle(now, in)
	if in.Kind == replay.Client {
		s.timer, s.w = now+s.wait, s.tasks[s.last]
	}
	if in.Kind == replay.Wake {
		s.w.to = netip.MustParseAddrPort("192.0.2.2:53")
		return s.ask(s.w)
	}
	return out
}

// In Deckard's cut silence is noticed by the system's own timer, and a client waits five seconds.
func TestRun_deckardClockRunsWhileAClientWaits(t *testing.T) {
	silent := ranged("0", "100", strings.Replace(replies, "copy_query", "copy_query do_not_answer", 1))
	text := deckardFile(silent + strings.Replace(ranged("0", "100", replies), "192.0.2.1", "192.0.2.2", 1) + asks + checks)
	for _, c := range []struct {
		wait int64
		pass bool
	}{{4e9, true}, {6e9, false}} {
		system := func(s replay.Settings) (replay.System, error) {
			return &second{walker: walker{set: s, tasks: map[uint64]*walk{}}, wait: c.wait}, nil
		}
		expect(t, text, system, c.pass)
	}
}

// A stream of messages comes one by one, and the question is outstanding until the last.
func TestRun_deliversAStream(t *testing.T) {
	var seen []bool
	system := func(s replay.Settings) (replay.System, error) {
		return stream{&seen}, nil
	}
	packets := strings.Replace(replies, "ENTRY_END\n", "EXTRA_PACKET\nREPLY QR\nSECTION ANSWER\nb. A 192.0.2.1\nEXTRA_PACKET\nREPLY QR\nENTRY_END\n", 1)
	expect(t, fwd+ranged("0", "100", packets)+asks+"STEP 20 TRAFFIC\nSCENARIO_END\n", system, true)
	if fmt.Sprint(seen) != "[true true false]" {
		t.Errorf("packets said that more follow: %v", seen)
	}
}

type stream struct{ more *[]bool }

func (s stream) Timer() (int64, bool) { return 0, false }

func (s stream) Handle(_ int64, in replay.Input) []replay.Output {
	switch in.Kind {
	case replay.Client:
		return []replay.Output{{Kind: replay.Send, ID: 1, To: netip.MustParseAddrPort("192.0.2.1:53"), TCP: true, Msg: in.Msg}}
	case replay.Reply:
		*s.more = append(*s.more, in.More)
	}
	return nil
}
