package exchange_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/exchange"
	"anyu/serve/nameserver"
	"anyu/serve/resolve"
)

var (
	server   = netip.MustParseAddrPort("192.0.2.53:53")
	zone     = wire.Name("\x07Example\x03com\x00")
	question = message.Question{Name: wire.Name("\x03www\x07Example\x03com\x00"), Type: wire.TypeA, Class: wire.ClassIN}
	ours     = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	theirs   = []byte("12345678")
)

const second = int64(time.Second)

// generator is not random: a test is the same each time.
func generator(state uint64) func() uint64 {
	return func() uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 7
	}
}

// talk is one exchange being driven.
type talk struct {
	*exchange.Exchange
	t       testing.TB
	servers *nameserver.Table
	now     int64
}

func begin(t testing.TB, servers *nameserver.Table, change func(*resolve.Ask)) *talk {
	t.Helper()
	if servers == nil {
		servers = nameserver.New(nameserver.Config{})
	}
	ask := resolve.Ask{ID: 1, Server: server, Zone: zone, Question: question, Timeout: 400 * time.Millisecond}
	if change != nil {
		change(&ask)
	}
	x := &talk{exchange.New(ask, servers, generator(7), ours, second), t, servers, second}
	x.want(exchange.Send, x.Start(x.now))
	return x
}

func (x *talk) want(want, got exchange.Action) {
	x.t.Helper()
	if got != want {
		x.t.Fatalf("action %d, want %d; outcome %+v", got, want, x.Outcome())
	}
}

// hear gives the exchange a message 10 ms later.
func (x *talk) hear(want exchange.Action, msg []byte) {
	x.t.Helper()
	x.now += second / 100
	x.want(want, x.Heard(x.now, msg))
}

func (x *talk) wantOver(stream bool) {
	x.t.Helper()
	if x.Stream() != stream {
		x.t.Fatalf("over a stream: %v, want %v", x.Stream(), stream)
	}
}

// wantReply expects the end with a reply of one address.
func (x *talk) wantReply() *message.Message {
	x.t.Helper()
	out := x.Outcome()
	if out.Kind != resolve.Replied || len(out.Message.Answer) != 1 || len(out.Message.Answer[0].Data) != 1 {
		x.t.Fatalf("outcome %+v", out)
	}
	return out.Message
}

// reply is the good reply to the message in hand.
func (x *talk) reply(options ...[]byte) []byte {
	r := bytes.Clone(x.Message()[:wire.HeaderSize+len(question.Name)+4])
	r[2], r[3] = 0x84, 0
	copy(r[4:], []byte{0, 1, 0, 1, 0, 0, 0, 0})
	r = append(r, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
	if hasOPT(x.Message()) {
		r = withOPT(r, 0, options...)
	}
	return r
}

// short is a reply without records.
func (x *talk) short(rcode byte) []byte {
	r := bytes.Clone(x.Message()[:wire.HeaderSize+len(question.Name)+4])
	r[2], r[3] = 0x84, rcode
	copy(r[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return r
}

func hasOPT(msg []byte) bool { return binary.BigEndian.Uint16(msg[10:]) > 0 }

func withOPT(r []byte, extended byte, options ...[]byte) []byte {
	r[11]++
	all := bytes.Join(options, nil)
	r = append(r, 0, 0, 41, 4, 208, extended, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(r, uint16(len(all))), all...)
}

func option(code uint16, data ...[]byte) []byte {
	all := bytes.Join(data, nil)
	b := binary.BigEndian.AppendUint16(nil, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(all))), all...)
}

func cookie(halves ...[]byte) []byte { return option(wire.OptionCookie, halves...) }

// sentCookie is the cookie in the message in hand.
func (x *talk) sentCookie() []byte {
	x.t.Helper()
	m, err := message.Parse(x.Message())
	if err != nil {
		x.t.Fatal(err)
	}
	c, _ := m.EDNS.Option(wire.OptionCookie)
	return c
}

func set(r []byte, at int, v byte) []byte {
	r = bytes.Clone(r)
	r[at] = v
	return r
}

// RFC 6891, Section 6.2.3; RFC 9715: what is asked for is what fits every path. RFC 3225, Section 3: DO.
func TestQuery_asksForSmallSignedReplies(t *testing.T) {
	x := begin(t, nil, func(a *resolve.Ask) { a.RD, a.CD = true, true })
	m, err := message.Parse(x.Message())
	if err != nil {
		t.Fatal(err)
	}
	if m.Flags != wire.FlagRD|wire.FlagCD || !m.Question.Equal(question) || !m.EDNS.Present || m.EDNS.Payload != exchange.Payload || !m.EDNS.DO || m.EDNS.Version != 0 {
		t.Errorf("%+v", m)
	}
	if d := x.Deadline() - x.now; d != int64(400*time.Millisecond) {
		t.Errorf("waits for %d ns", d)
	}
	if y := begin(t, nil, nil); y.Message()[2] != 0 || y.Message()[3] != 0 {
		t.Errorf("flags %x of a query to an authoritative server", y.Message()[2:4])
	}
}

// draft-vixie-dnsext-dns0x20: the letters are random, and ours again in what is handed on, also where the reply points into the question.
func TestName_isSentInRandomCaseAndHandedOnInOurs(t *testing.T) {
	x := begin(t, nil, nil)
	sent := x.Message()[wire.HeaderSize : wire.HeaderSize+len(question.Name)]
	if bytes.Equal(sent, question.Name) || !wire.Name(sent).Equal(question.Name) {
		t.Fatalf("sent %q", sent)
	}
	r := x.reply()
	// In the authority section, the zone, as a pointer to the question's end.
	r = r[:len(r)-11]
	r = append(r, 0xC0, 16, 0, 2, 0, 1, 0, 0, 0, 60, 0, 5, 2, 'n', 's', 0xC0, 16)
	r[9], r[11] = 1, 0
	x.hear(exchange.Done, r)
	m := x.wantReply()
	if !bytes.Equal(m.Question.Name, question.Name) || !bytes.Equal(m.Answer[0].Name, question.Name) {
		t.Errorf("question %q, owner %q", m.Question.Name, m.Answer[0].Name)
	}
	if ns := m.Authority[0]; !bytes.Equal(ns.Name, zone) || !bytes.Equal(ns.Data[0], append([]byte("\x02ns"), zone...)) {
		t.Errorf("authority %q %q", ns.Name, ns.Data[0])
	}
}

func TestReply_isMeasured(t *testing.T) {
	x := begin(t, nil, nil)
	x.hear(exchange.Done, x.reply())
	if out := x.Outcome(); out.RTT != 10*time.Millisecond || out.Stream {
		t.Errorf("%+v", out)
	}
	x = begin(t, nil, func(a *resolve.Ask) { a.Stream = true })
	x.hear(exchange.Done, x.reply())
	if out := x.Outcome(); out.RTT != 10*time.Millisecond || !out.Stream {
		t.Errorf("%+v: servers that are asked over streams are compared, too", out)
	}
	x = begin(t, nil, nil)
	tc := x.short(0)
	tc[2] |= 2
	x.hear(exchange.Send, tc)
	x.hear(exchange.Done, x.reply())
	if out := x.Outcome(); out.RTT != 0 || !out.Stream {
		t.Errorf("%+v: the time over TCP says nothing of UDP", out)
	}
}

// RFC 5452, Section 9.1; TuDoor: what does not match is ignored, and the right reply is taken after it.
func TestMismatch_isIgnoredAndTheWaitGoesOn(t *testing.T) {
	end := wire.HeaderSize + len(question.Name)
	cases := map[string]func(r []byte) []byte{
		"nothing":          func(r []byte) []byte { return nil },
		"short":            func(r []byte) []byte { return r[:11] },
		"header only":      func(r []byte) []byte { return r[:12] },
		"cut question":     func(r []byte) []byte { return r[:end+2] },
		"other ID":         func(r []byte) []byte { return set(r, 1, r[1]^1) },
		"a query":          func(r []byte) []byte { return set(r, 2, r[2]&^0x80) },
		"other opcode":     func(r []byte) []byte { return set(r, 2, r[2]|0x20) },
		"other name":       func(r []byte) []byte { return set(r, 13, 'x') },
		"other type":       func(r []byte) []byte { return set(r, end+1, 28) },
		"other class":      func(r []byte) []byte { return set(r, end+3, 3) },
		"two questions":    func(r []byte) []byte { return set(r, 5, 2) },
		"no question":      func(r []byte) []byte { return set(r, 5, 0) },
		"garbage behind":   func(r []byte) []byte { return append(bytes.Clone(r[:end+4]), 0xC0, 0xC0, 0xC0) },
		"too many records": func(r []byte) []byte { return set(r, 7, 9) },
		"pointer loop":     func(r []byte) []byte { return set(r, end+5, byte(end+4)) },
		"foreign cookie":   func(r []byte) []byte { return withOPT(set(r[:len(r)-11], 11, 0), 0, cookie([]byte("foreign!"))) },
		"cookie too short": func(r []byte) []byte { return withOPT(set(r[:len(r)-11], 11, 0), 0, cookie(ours[:7])) },
		"cookie too long": func(r []byte) []byte {
			return withOPT(set(r[:len(r)-11], 11, 0), 0, cookie(ours[:], make([]byte, 33)))
		},
		"cookie of an odd length": func(r []byte) []byte { return withOPT(set(r[:len(r)-11], 11, 0), 0, cookie(ours[:], theirs[:3])) },
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			x := begin(t, nil, nil)
			x.hear(exchange.Wait, make(x.reply()))
			if x.Foreign() != 1 {
				t.Errorf("%d counted", x.Foreign())
			}
			x.hear(exchange.Done, x.reply())
			x.wantReply()
		})
	}
}

// RFC 5452, Section 9.2; SAD DNS: somebody who guesses does not get to guess often.
func TestMismatch_repeatedGoesOverAStream(t *testing.T) {
	x := begin(t, nil, nil)
	for range exchange.MaxForeign - 1 {
		x.hear(exchange.Wait, set(x.reply(), 0, ^x.Message()[0]))
	}
	x.wantOver(false)
	x.hear(exchange.Send, set(x.reply(), 0, ^x.Message()[0]))
	x.wantOver(true)
	for range 10 { // there it changes nothing
		x.hear(exchange.Wait, set(x.reply(), 0, ^x.Message()[0]))
	}
	x.hear(exchange.Done, x.reply())
	x.wantReply()
}

// A server that says only what cannot be believed is asked once more where it can.
func TestMismatch_thenSilenceGoesOverAStream(t *testing.T) {
	x := begin(t, nil, nil)
	x.hear(exchange.Wait, set(x.reply(), 0, ^x.Message()[0]))
	x.want(exchange.Send, x.Expired(x.Deadline()))
	x.wantOver(true)
	x.want(exchange.Done, x.Expired(x.Deadline()))
	if k := x.Outcome().Kind; k != resolve.TimedOut {
		t.Errorf("kind %d", k)
	}
}

func TestCase_notKeptGoesOverAStream(t *testing.T) {
	x := begin(t, nil, nil)
	lower := x.reply()
	copy(lower[wire.HeaderSize:], bytes.ToLower(question.Name))
	x.hear(exchange.Send, lower)
	x.wantOver(true)
	if sent := x.Message()[wire.HeaderSize : wire.HeaderSize+len(question.Name)]; !bytes.Equal(sent, question.Name) {
		t.Errorf("over the stream: %q", sent)
	}
	lower = x.reply()
	copy(lower[wire.HeaderSize:], bytes.ToLower(question.Name))
	x.hear(exchange.Done, lower)
	if m := x.wantReply(); !bytes.Equal(m.Answer[0].Name, question.Name) {
		t.Errorf("owner %q", m.Answer[0].Name)
	}
}

// RFC 7766, Section 5.
func TestTruncated_goesOverAStream(t *testing.T) {
	for name, make := range map[string]func(x *talk) []byte{
		"empty":                func(x *talk) []byte { return set(x.short(0), 2, 0x86) },
		"with records":         func(x *talk) []byte { return set(x.reply(), 2, 0x86) },
		"cut within a record":  func(x *talk) []byte { r := set(x.reply(), 2, 0x86); return r[:len(r)-14] },
		"without its question": func(x *talk) []byte { return set(set(x.short(0)[:12], 2, 0x86), 5, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			x := begin(t, nil, nil)
			before := x.ID()
			x.hear(exchange.Send, make(x))
			x.wantOver(true)
			if x.ID() == before {
				t.Error("the same ID again")
			}
			if d := x.Deadline() - x.now; d != int64(exchange.StreamTime) {
				t.Errorf("waits for %d ns", d)
			}
			x.hear(exchange.Done, x.reply())
			x.wantReply()
		})
	}
	x := begin(t, nil, func(a *resolve.Ask) { a.Stream = true })
	x.hear(exchange.Done, set(x.short(0), 2, 0x86))
	if out := x.Outcome(); out.Kind != resolve.Replied || !out.Message.Has(wire.FlagTC) {
		t.Errorf("%+v: the resolver says what it thinks of that", out)
	}
}

// RFC 9715, Section 2: what is longer than asked for came in fragments.
func TestOversized_goesOverAStream(t *testing.T) {
	x := begin(t, nil, nil)
	x.hear(exchange.Wait, set(append(x.reply(), make([]byte, exchange.Payload)...), 0, ^x.Message()[0])) // not even the reply
	x.hear(exchange.Send, append(x.reply(), make([]byte, exchange.Payload)...))
	x.wantOver(true)
	x.hear(exchange.Done, x.reply())
	x.wantReply()
}

// RFC 7873, Sections 5.1 and 5.3.
func TestCookie_isLearnedSentAndAskedBack(t *testing.T) {
	x := begin(t, nil, nil)
	if !bytes.Equal(x.sentCookie(), ours[:]) {
		t.Fatalf("cookie %x", x.sentCookie())
	}
	x.hear(exchange.Done, x.reply(cookie(ours[:], theirs)))
	x.wantReply()
	if k := x.Outcome().Message; len(k.Answer) != 1 {
		t.Fatal(k)
	}
	x = begin(t, x.servers, nil)
	if !bytes.Equal(x.sentCookie(), append(ours[:8:8], theirs...)) {
		t.Fatalf("cookie %x", x.sentCookie())
	}
	// A reply without, from a server that has sent one, may be forged.
	x.hear(exchange.Send, x.reply())
	x.wantOver(true)
	if c := x.sentCookie(); c != nil {
		t.Errorf("cookie %x over a stream", c)
	}
	x.hear(exchange.Done, x.reply())
	x.wantReply()
	// The server itself said so: it is taken without from now on.
	x = begin(t, x.servers, nil)
	x.hear(exchange.Done, x.reply())
	x.wantReply()
}

// RFC 7873, Section 5.3: BADCOOKIE: once with the new cookie, then over TCP.
func TestBadCookie_isTriedOnceAndThenGoesOverAStream(t *testing.T) {
	x := begin(t, nil, nil)
	bad := func() []byte { return withOPT(x.short(7), 1, cookie(ours[:], theirs)) } // 23 = 1<<4 | 7
	x.hear(exchange.Send, bad())
	x.wantOver(false)
	if !bytes.Equal(x.sentCookie(), append(ours[:8:8], theirs...)) {
		t.Fatalf("cookie %x", x.sentCookie())
	}
	x.hear(exchange.Send, bad())
	x.wantOver(true)
	x.hear(exchange.Done, x.reply())
	x.wantReply()
}

// RFC 6891, Section 7: no EDNS for a server that does not know it; that is remembered only when the server does answer without.
func TestEDNS_isLeftOutWhereItIsNotUnderstood(t *testing.T) {
	for name, refuse := range map[string]func(x *talk) []byte{
		"FORMERR":                  func(x *talk) []byte { return x.short(1) },
		"NOTIMP":                   func(x *talk) []byte { return x.short(4) },
		"BADVERS":                  func(x *talk) []byte { return withOPT(x.short(0), 1) },
		"FORMERR without question": func(x *talk) []byte { return set(x.short(1)[:12], 5, 0) },
		"NOTIMP without question":  func(x *talk) []byte { return set(x.short(4)[:12], 5, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			x := begin(t, nil, nil)
			x.hear(exchange.Send, refuse(x))
			x.wantOver(false)
			if hasOPT(x.Message()) {
				t.Fatal("EDNS again")
			}
			if x.servers.Look(server, zone, x.now).NoEDNS {
				t.Fatal("learned before it is known to help")
			}
			x.hear(exchange.Done, x.reply())
			x.wantReply()
			if !x.servers.Look(server, zone, x.now).NoEDNS {
				t.Error("not learned")
			}
			if x = begin(t, x.servers, nil); hasOPT(x.Message()) {
				t.Error("EDNS the next time")
			}
		})
	}
}

func TestEDNS_isNotUnlearnedWherePlainDoesNotHelp(t *testing.T) {
	for rcode := byte(1); rcode <= 5; rcode++ {
		if rcode == 3 {
			continue // NXDOMAIN is an answer
		}
		x := begin(t, nil, nil)
		x.hear(exchange.Send, x.short(1))
		x.hear(exchange.Done, x.short(rcode))
		if x.servers.Look(server, zone, x.now).NoEDNS {
			t.Errorf("rcode %d: learned", rcode)
		}
		if out := x.Outcome(); out.Kind != resolve.Replied || out.Message.Rcode != wire.Rcode(rcode) {
			t.Errorf("rcode %d: %+v", rcode, out)
		}
	}
}

// CVE-2026-52690: where the answer must be signed, no FORMERR, forged or not, leads to an answer without signatures.
func TestEDNS_isNeverLeftOutWhereTheAnswerMustBeSigned(t *testing.T) {
	signed := func(a *resolve.Ask) { a.Signed = true }
	x := begin(t, nil, signed)
	x.hear(exchange.Wait, set(x.short(1)[:12], 5, 0))
	x.hear(exchange.Done, x.short(1))
	if out := x.Outcome(); out.Kind != resolve.Replied || out.Message.Rcode != wire.FormErr {
		t.Errorf("%+v", out)
	}
	x.servers.SetEDNS(server, false, x.now)
	if x = begin(t, x.servers, signed); !hasOPT(x.Message()) {
		t.Error("no EDNS for what was learned elsewhere")
	}
}

// A reply without question shows only the ID: a server that knows EDNS does not get it switched off by that.
func TestWithoutQuestion_isNotBelievedOfAServerThatKnowsEDNS(t *testing.T) {
	x := begin(t, nil, nil)
	x.hear(exchange.Done, x.reply()) // with OPT
	x = begin(t, x.servers, nil)
	x.hear(exchange.Wait, set(x.short(1)[:12], 5, 0))
	x.hear(exchange.Done, x.reply())
	x.wantReply()
	for _, rcode := range []byte{0, 2, 3, 5} {
		x = begin(t, nil, nil)
		x.hear(exchange.Wait, set(x.short(rcode)[:12], 5, 0))
	}
}

// RFC 8467, Section 4.1; RFC 7873 has no business on streams; nor have random letters.
func TestEncrypted_isPaddedAndNotMixed(t *testing.T) {
	for _, protocol := range []resolve.Protocol{resolve.TLS, resolve.HTTPS, resolve.QUIC} {
		x := begin(t, nil, func(a *resolve.Ask) { a.Upstream = &resolve.Upstream{Address: server, Protocol: protocol} })
		x.wantOver(true)
		if n := len(x.Message()); n%128 != 0 || n == 0 {
			t.Errorf("%d octets", n)
		}
		if !bytes.Contains(x.Message(), question.Name) || x.sentCookie() != nil {
			t.Errorf("%x", x.Message())
		}
		if _, err := message.Parse(x.Message()); err != nil {
			t.Error(err)
		}
	}
}

func TestStream_garbageEndsTheExchange(t *testing.T) {
	x := begin(t, nil, func(a *resolve.Ask) { a.Stream = true })
	x.hear(exchange.Done, set(x.short(0), 7, 9)) // records that are not there
	if k := x.Outcome().Kind; k != resolve.Unreadable {
		t.Errorf("kind %d", k)
	}
	x = begin(t, nil, func(a *resolve.Ask) { a.Stream = true })
	x.hear(exchange.Wait, set(x.reply(), 0, ^x.Message()[0])) // somebody else's
	x.hear(exchange.Done, set(x.reply(), 13, 'x'))            // another question
	if k := x.Outcome().Kind; k != resolve.Unreadable {
		t.Errorf("kind %d", k)
	}
}

func TestEvents_afterTheEndChangeNothing(t *testing.T) {
	x := begin(t, nil, nil)
	x.hear(exchange.Done, x.reply())
	late := x.reply()
	x.hear(exchange.Done, late)
	x.hear(exchange.Done, set(late, 0, ^late[0]))
	x.want(exchange.Done, x.Expired(x.now))
	x.want(exchange.Done, x.Broken(x.now))
	x.want(exchange.Done, x.Unreachable(x.now))
	x.wantReply()
	if x.Foreign() != 0 {
		t.Errorf("%d counted as foreign", x.Foreign())
	}
}

func TestFailures_sayWhoseTheyAre(t *testing.T) {
	for want, fail := range map[resolve.Kind]func(x *talk) exchange.Action{
		resolve.TimedOut:    func(x *talk) exchange.Action { return x.Expired(x.Deadline()) },
		resolve.Refused:     func(x *talk) exchange.Action { return x.Broken(x.now) },
		resolve.Unreachable: func(x *talk) exchange.Action { return x.Unreachable(x.now) },
	} {
		x := begin(t, nil, nil)
		x.want(exchange.Done, fail(x))
		if k := x.Outcome().Kind; k != want {
			t.Errorf("kind %d, want %d", k, want)
		}
	}
}

// The memory of the first message is used again; later ones have their own, since a stream may still be writing.
func TestBegin_reusesMemory(t *testing.T) {
	servers := nameserver.New(nameserver.Config{})
	ask := resolve.Ask{ID: 1, Server: server, Zone: zone, Question: question, Timeout: time.Second}
	x, random := new(exchange.Exchange), generator(1)
	x.Begin(ask, servers, random, ours, second)
	x.Start(second)
	allocs := testing.AllocsPerRun(100, func() {
		x.Begin(ask, servers, random, ours, second)
		x.Start(second)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a query", allocs)
	}
}

// Whatever happens, no more than MaxSends messages leave, each has a deadline, and the end comes.
func FuzzExchange_endsWithinItsBudget(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, []byte("\x00\x00\x84\x00"), false, false)
	f.Add([]byte{2, 2, 2, 2, 2, 2, 2, 2, 2}, []byte{}, true, false)
	f.Add([]byte{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, []byte{0xC0, 0x0C}, false, true)
	f.Fuzz(func(t *testing.T, events, octets []byte, stream, signed bool) {
		x := begin(t, nil, func(a *resolve.Ask) { a.Stream, a.Signed = stream, signed })
		sends, action := 1, exchange.Wait
		for i := 0; action != exchange.Done; i++ {
			if i > len(events)+exchange.MaxSends {
				t.Fatal("no end")
			}
			event := byte(11) // nothing more comes
			if i < len(events) {
				event = events[i] % 12
			}
			action = x.event(event, octets)
			if action == exchange.Send {
				sends++
				if sends > exchange.MaxSends {
					t.Fatalf("%d messages", sends)
				}
				if _, err := message.Parse(x.Message()); err != nil || len(x.Message()) > 512 {
					t.Fatalf("message of %d octets: %v", len(x.Message()), err)
				}
			}
			if d := x.Deadline() - x.now; action != exchange.Done && d > int64(exchange.StreamTime) {
				t.Fatalf("waits for %d ns", d)
			}
		}
		if out := x.Outcome(); (out.Kind == resolve.Replied) != (out.Message != nil) {
			t.Fatalf("%+v", out)
		}
	})
}

// event makes one of the things happen that can.
func (x *talk) event(kind byte, octets []byte) exchange.Action {
	switch kind {
	case 0:
		return x.Heard(x.now, bytes.Clone(octets))
	case 1:
		return x.Heard(x.now, append(x.short(0), octets...))
	case 2:
		return x.Heard(x.now, set(x.short(0), 2, 0x86))
	case 3:
		return x.Heard(x.now, x.short(1))
	case 4:
		return x.Heard(x.now, withOPT(x.short(7), 1, cookie(ours[:], theirs)))
	case 5:
		return x.Heard(x.now, withOPT(x.short(0), 1))
	case 6:
		return x.Heard(x.now, set(x.short(4)[:12], 5, 0))
	case 7:
		r := x.reply()
		for i, b := range octets {
			r[i%len(r)] ^= b
		}
		return x.Heard(x.now, r)
	case 8:
		return x.Heard(x.now, bytes.ToLower(x.reply()))
	case 9:
		return x.Broken(x.now)
	case 10:
		return x.Unreachable(x.now)
	}
	x.now = x.Deadline()
	return x.Expired(x.now)
}

// recursion.case_randomisation: without it the name goes out as it was asked, and a server that answers in other letters is believed over UDP.
func TestCase_isKeptWhereItIsWanted(t *testing.T) {
	for _, same := range []bool{false, true} {
		x := begin(t, nil, func(a *resolve.Ask) { a.SameCase = same })
		sent := x.Message()[wire.HeaderSize:][:len(question.Name)]
		if bytes.Equal(sent, question.Name) != same {
			t.Errorf("same case %v: sent %q", same, sent)
		}
		lower := x.reply()
		copy(lower[wire.HeaderSize:], question.Name.AppendLower(nil))
		if !same {
			x.hear(exchange.Send, lower)
			x.wantOver(true)
			continue
		}
		x.hear(exchange.Done, lower)
		x.wantReply()
	}
}

// RFC 7828, Section 3.2.1: over TCP and TLS we ask how long a connection may stay, without a time; not over UDP, and not where streams are HTTP's or QUIC's
// (RFC 9250, Section 5.5.2). RFC 8467, Section 4.1: where nobody can read, the message is a multiple of 128 octets with it.
func TestKeepalive_isAskedForOverTCPAndTLS(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*resolve.Ask)
		want   bool
		block  int
	}{
		{"UDP", func(*resolve.Ask) {}, false, 1},
		{"TCP", func(a *resolve.Ask) { a.Stream = true }, true, 1},
		{"TLS", func(a *resolve.Ask) { a.Upstream = &resolve.Upstream{Protocol: resolve.TLS} }, true, 128},
		{"HTTPS", func(a *resolve.Ask) { a.Upstream = &resolve.Upstream{Protocol: resolve.HTTPS} }, false, 128},
		{"QUIC", func(a *resolve.Ask) { a.Upstream = &resolve.Upstream{Protocol: resolve.QUIC} }, false, 128},
	} {
		x := begin(t, nil, c.change)
		m, err := message.Parse(bytes.Clone(x.Message()))
		if err != nil {
			t.Fatal(err)
		}
		data, has := m.EDNS.Option(wire.OptionKeepalive)
		if has != c.want || len(data) != 0 || len(x.Message())%c.block != 0 {
			t.Errorf("%s: asked %v %x, %d octets", c.name, has, data, len(x.Message()))
		}
		x.hear(exchange.Done, x.reply([]byte{0, wire.OptionKeepalive, 0, 2, 0, 50}))
		if idle, told := x.Idle(); told != c.want || told && idle != 5*time.Second {
			t.Errorf("%s: told %v, %v", c.name, told, idle)
		}
	}
}

// A server that cuts off what has room, or in whose name somebody forges replies, is asked over TCP for a while; not one whose answer was too long, and none
// that has not answered over TCP.
func TestTCPOnly_isLearnedFromAnAnswerOverTCP(t *testing.T) {
	for _, c := range []struct {
		name string
		talk func(x *talk)
		want bool
	}{
		{"truncated for no reason", func(x *talk) {
			tc := x.short(0)
			tc[2] |= 2
			x.hear(exchange.Send, tc)
			x.hear(exchange.Done, x.reply())
		}, true},
		{"truncated, nothing over TCP", func(x *talk) {
			tc := x.short(0)
			tc[2] |= 2
			x.hear(exchange.Send, tc)
			x.now = x.Deadline()
			x.want(exchange.Done, x.Expired(x.now))
		}, false},
		{"too long", func(x *talk) {
			tc := x.short(0)
			tc[2] |= 2
			x.hear(exchange.Send, tc)
			x.hear(exchange.Done, append(x.reply(), make([]byte, exchange.Payload)...))
		}, false},
		{"forged", func(x *talk) {
			for i := range exchange.MaxForeign {
				forged := x.reply()
				forged[0] ^= 0x55
				x.hear(map[bool]exchange.Action{true: exchange.Send, false: exchange.Wait}[i == exchange.MaxForeign-1], forged)
			}
			x.hear(exchange.Done, x.reply())
		}, true},
		{"as it should be", func(x *talk) { x.hear(exchange.Done, x.reply()) }, false},
	} {
		x := begin(t, nil, nil)
		c.talk(x)
		if got := x.servers.Look(server, zone, x.now).TCPOnly; got != c.want {
			t.Errorf("%s: over TCP only %v", c.name, got)
		}
	}
}

// An exchange has the time its resolution has left, over a stream too, where a server would have five seconds (StreamTime).
func TestUntil_endsTheExchange(t *testing.T) {
	until := second + int64(700*time.Millisecond)
	x := begin(t, nil, func(a *resolve.Ask) { a.Until, a.Stream = until, true })
	if got := x.Deadline(); got != until {
		t.Errorf("over a stream it may take %v, and %v are left", time.Duration(got-second), time.Duration(until-second))
	}
	x.want(exchange.Done, x.Expired(until))
	if got := x.Outcome().Kind; got != resolve.TimedOut {
		t.Errorf("outcome %d", got)
	}
}

// As many questions as may be are under way to a server: the next one waits its turn, asks when one of them has ended, and gives up after MaxLooks.
// A server that is down is left alone at once.
func TestAdmit_waitsForItsTurn(t *testing.T) {
	servers := nameserver.New(nameserver.Config{})
	ask := resolve.Ask{ID: 1, Server: server, Zone: zone, Question: question, Timeout: time.Second}
	next := func() *exchange.Exchange { return exchange.New(ask, servers, generator(7), ours, second) }
	first, waits, gives := next(), next(), next()
	if got := first.Admit(second, 1); got != exchange.Send {
		t.Fatalf("the first one: action %d", got)
	}
	for _, x := range []*exchange.Exchange{waits, gives} {
		if got := x.Admit(second, 1); got != exchange.Wait || !x.Queued() {
			t.Fatalf("the next one: action %d", got)
		}
	}
	first.End()
	if got := waits.Expired(waits.Deadline()); got != exchange.Send || waits.Queued() {
		t.Errorf("its turn has come: action %d", got)
	}
	looks := 0
	for ; gives.Queued() && looks < 20; looks++ {
		gives.Expired(gives.Deadline())
	}
	if got := gives.Outcome().Kind; got != resolve.Full || looks != exchange.MaxLooks || gives.Deadline()-second > 2*second {
		t.Errorf("outcome %d after %d looks and %v", got, looks, time.Duration(gives.Deadline()-second))
	}
	gives.End() // was not admitted: takes nobody's place
	if s := servers.Look(server, zone, second); s.Outstanding != 1 {
		t.Errorf("%d are under way", s.Outstanding)
	}
}

// An exchange whose time is over before it is admitted was not sent: nobody may call it a timeout of the server, which was not asked.
func TestAdmit_tooLateIsNoTimeout(t *testing.T) {
	servers := nameserver.New(nameserver.Config{})
	until := second + int64(time.Millisecond)
	ask := resolve.Ask{ID: 1, Server: server, Zone: zone, Question: question, Timeout: time.Second, Until: until}
	late := exchange.New(ask, servers, generator(7), ours, second)
	if got := late.Admit(until, 0); got != exchange.Done || late.Outcome().Kind != resolve.Full {
		t.Errorf("admitted too late: action %d, outcome %d", got, late.Outcome().Kind)
	}
	first := exchange.New(resolve.Ask{ID: 2, Server: server, Zone: zone, Question: question, Timeout: time.Second}, servers, generator(7), ours, second)
	waits := exchange.New(ask, servers, generator(7), ours, second)
	first.Admit(second, 1)
	if got := waits.Admit(second, 1); got != exchange.Wait {
		t.Fatalf("it must wait for its turn: action %d", got)
	}
	first.End()
	if got := waits.Expired(waits.Deadline()); got != exchange.Done || waits.Outcome().Kind != resolve.Full {
		t.Errorf("its turn comes too late: action %d, outcome %d", got, waits.Outcome().Kind)
	}
	waits.End()
	if s := servers.Look(server, zone, second); s.Outstanding != 0 {
		t.Errorf("%d are under way", s.Outstanding)
	}
}
