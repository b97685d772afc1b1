package tsig_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/house/corpora"
)

var start = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)

func newKey(alg tsig.Algorithm) *tsig.Key {
	return &tsig.Key{Name: wire.Name("\x08Transfer\x03key\x00"), Algorithm: alg, Secret: []byte("a secret of thirty-two octets ..")}
}

func only(k *tsig.Key) func(string) *tsig.Key {
	return func(name string) *tsig.Key {
		if name == string(k.Name.AppendLower(nil)) {
			return k
		}
		return nil
	}
}

func message(t testing.TB, id uint16) []byte {
	m := new(dns.Msg)
	m.SetQuestion("example.org.", dns.TypeSOA)
	m.Id = id
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t testing.TB, msg []byte, k *tsig.Key, now time.Time) *tsig.Request {
	t.Helper()
	at, err := tsig.Find(msg)
	if err != nil || at == 0 {
		t.Fatalf("TSIG at %d: %v", at, err)
	}
	r, err := tsig.Check(msg, at, only(k), now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func code(err error) wire.Rcode {
	var e *tsig.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

var algorithms = []tsig.Algorithm{tsig.HMACSHA1, tsig.HMACSHA224, tsig.HMACSHA256, tsig.HMACSHA384, tsig.HMACSHA512}

// What we sign miekg/dns takes, and the other way round, request and reply (RFC 8945, Sections 4.3.1 to 4.3.3).
func TestChain_agreesWithMiekg(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg.String(), func(t *testing.T) {
			k := newKey(alg)
			secret := base64.StdEncoding.EncodeToString(k.Secret)
			chain := tsig.NewChain(k)
			query := chain.Sign(message(t, 7), time.Now())
			var q dns.Msg
			if err := q.Unpack(query); err != nil {
				t.Fatal(err)
			}
			if err := dns.TsigVerify(query, secret, "", false); err != nil {
				t.Fatalf("miekg refuses our request: %v", err)
			}
			r := new(dns.Msg)
			r.SetReply(&q)
			r.SetTsig(strings.ToLower(k.Name.String()), dns.Fqdn(alg.String()), 300, time.Now().Unix())
			reply, _, err := dns.TsigGenerate(r, secret, q.IsTsig().MAC, false)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := chain.Verify(reply, time.Now())
			if err != nil {
				t.Fatalf("we refuse miekg's reply: %v", err)
			}
			var back dns.Msg
			if err := back.Unpack(plain); err != nil || back.IsTsig() != nil || back.Id != 7 {
				t.Fatalf("stripped reply: %v %v", &back, err)
			}
			// The other direction.
			m := new(dns.Msg)
			m.SetAxfr("example.org.")
			m.SetTsig("TRANSFER.key.", dns.Fqdn(alg.String()), 300, time.Now().Unix())
			signed, mac, err := dns.TsigGenerate(m, secret, "", false)
			if err != nil {
				t.Fatal(err)
			}
			req := check(t, signed, k, time.Now())
			if req.Err != nil || req.Key() != k {
				t.Fatalf("we refuse miekg's request: %v", req.Err)
			}
			answer := req.Answer(message(t, m.Id), time.Now())
			var first dns.Msg
			first.Unpack(answer)
			if err := dns.TsigVerify(answer, secret, mac, false); err != nil {
				t.Fatalf("miekg refuses our reply: %v", err)
			}
			// A second message of a stream covers the first one's MAC and only the timers.
			second := req.Answer(message(t, m.Id), time.Now())
			if err := dns.TsigVerify(second, secret, first.IsTsig().MAC, true); err != nil {
				t.Fatalf("miekg refuses our second message: %v", err)
			}
		})
	}
}

// RFC 8945, Section 5.3.1: of the messages between two signed ones each is covered by the next MAC; 99 may go unsigned.
func TestVerify_takesUnsignedMessagesInBetween(t *testing.T) {
	k := newKey(tsig.HMACSHA256)
	for _, c := range []struct {
		unsigned int
		change   bool
		want     error
	}{{0, false, nil}, {1, false, nil}, {99, false, nil}, {99, true, &tsig.Error{Code: wire.BadSig}}, {100, false, tsig.ErrMany}} {
		client := tsig.NewChain(k)
		req := check(t, client.Sign(message(t, 1), start), k, start)
		if _, err := client.Verify(req.Answer(message(t, 1), start), start); err != nil {
			t.Fatal(err)
		}
		// The server's side of unsigned messages, done by hand: a chain that passes them over the same way.
		var last error
		server := serverSum(k, req, c.unsigned)
		for i := range c.unsigned {
			m := message(t, 1)
			if c.change && i == 50 {
				m[14] ^= 1
			}
			if _, last = client.Verify(m, start); last != nil {
				break
			}
			if client.End() == nil {
				t.Error("a stream that ends unsigned counts as proved")
			}
		}
		if last == nil {
			_, last = client.Verify(server, start)
		}
		if c.want == nil && (last != nil || client.End() != nil) || c.want != nil && !errors.Is(last, c.want) && (code(c.want) == 0 || code(last) != code(c.want)) {
			t.Errorf("%d unsigned, changed %v: %v, want %v", c.unsigned, c.change, last, c.want)
		}
	}
}

// serverSum signs a message after n unsigned ones.
func serverSum(k *tsig.Key, req *tsig.Request, n int) []byte {
	peer := *req.Chain
	for range n {
		m := new(dns.Msg)
		m.SetQuestion("example.org.", dns.TypeSOA)
		m.Id = 1
		b, _ := m.Pack()
		peer.Verify(b, start)
	}
	m := new(dns.Msg)
	m.SetQuestion("example.org.", dns.TypeSOA)
	m.Id = 1
	b, _ := m.Pack()
	return peer.Sign(b, start)
}

// RFC 8945, Section 5.2: the errors, which of them are signed, and what the client makes of them.
func TestCheck_errors(t *testing.T) {
	k := newKey(tsig.HMACSHA256)
	other := newKey(tsig.HMACSHA256)
	other.Secret = []byte("another")
	stranger := newKey(tsig.HMACSHA256)
	stranger.Name = wire.Name("\x07unknown\x00")
	sha512 := newKey(tsig.HMACSHA512)
	for _, c := range []struct {
		name   string
		key    *tsig.Key
		now    time.Time
		want   wire.Rcode
		signed bool
	}{
		{"good", k, start, 0, true},
		{"just in time", k, start.Add(300 * time.Second), 0, true},
		{"other secret", other, start, wire.BadSig, false},
		{"unknown key", stranger, start, wire.BadKey, false},
		{"other algorithm", sha512, start, wire.BadKey, false},
		{"late", k, start.Add(301 * time.Second), wire.BadTime, true},
		{"early", k, start.Add(-301 * time.Second), wire.BadTime, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := tsig.NewChain(c.key)
			req := check(t, client.Sign(message(t, 9), start), k, c.now)
			if (req.Err == nil) != (c.want == 0) || req.Err != nil && req.Err.Code != c.want {
				t.Fatalf("got %v, want %v", req.Err, c.want)
			}
			if (req.Message == nil) != (req.Err != nil) {
				t.Error("a request whose signature fails is handed on, or a good one is not")
			}
			answer := req.Answer(message(t, 9), c.now)
			if max := len(message(t, 9)) + req.Size(); len(answer) > max {
				t.Errorf("answer takes %d octets, Size promised %d", len(answer), max)
			}
			at, _ := tsig.Find(answer)
			rec, err := tsig.Read(answer, at)
			if err != nil || (len(rec.MAC) > 0) != c.signed || rec.Error != c.want {
				t.Fatalf("answer: MAC %x, error %v, %v", rec.MAC, rec.Error, err)
			}
			if c.want == wire.BadTime && (len(rec.Other) != 6 || int64(binary.BigEndian.Uint32(rec.Other[2:])) != c.now.Unix()&0xFFFFFFFF) {
				t.Errorf("other data %x is not the server's time", rec.Other)
			}
			if _, err := client.Verify(answer, start); code(err) != c.want {
				t.Errorf("the client reads %v, want %v", err, c.want)
			}
		})
	}
}

// RFC 8945, Section 5.2.2.1: a MAC of less than half the hash or 10 octets is malformed, one that the key does not allow is BADTRUNC.
func TestCheck_truncatedMACs(t *testing.T) {
	for _, c := range []struct {
		length, allowed int
		want            wire.Rcode
		malformed       bool
	}{{32, 0, 0, false}, {31, 0, wire.BadTrunc, false}, {16, 16, 0, false}, {16, 20, wire.BadTrunc, false}, {15, 16, 0, true}, {33, 0, 0, true}, {0, 0, 0, true}} {
		k := newKey(tsig.HMACSHA256)
		k.Truncated = c.allowed
		msg := resize(t, tsig.NewChain(k).Sign(message(t, 3), start), c.length)
		at, _ := tsig.Find(msg)
		req, err := tsig.Check(msg, at, only(k), start)
		if errors.Is(err, tsig.ErrFormat) != c.malformed {
			t.Errorf("%d octets: error %v", c.length, err)
			continue
		}
		if err == nil && (req.Err == nil) != (c.want == 0) || err == nil && req.Err != nil && req.Err.Code != c.want {
			t.Errorf("%d octets, %d allowed: %v, want %v", c.length, c.allowed, req.Err, c.want)
		}
	}
}

// resize cuts or stretches the MAC of a signed message.
func resize(t *testing.T, msg []byte, n int) []byte {
	t.Helper()
	at, _ := tsig.Find(msg)
	r, err := tsig.Read(msg, at)
	if err != nil {
		t.Fatal(err)
	}
	mac := append(append([]byte(nil), r.MAC...), 0, 0)[:n]
	out := append([]byte(nil), msg[:at]...)
	out = append(out, r.Key...)
	out = append(out, 0, 250, 0, 255, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.Algorithm)+16+n))
	out = append(out, r.Algorithm...)
	out = append(out, byte(r.Time>>40), byte(r.Time>>32), byte(r.Time>>24), byte(r.Time>>16), byte(r.Time>>8), byte(r.Time))
	out = binary.BigEndian.AppendUint16(out, r.Fudge)
	out = binary.BigEndian.AppendUint16(out, uint16(n))
	out = append(out, mac...)
	return append(out, byte(r.OriginalID>>8), byte(r.OriginalID), 0, 0, 0, 0)
}

// RFC 8945, Section 5.3: a forwarder changes the ID; the MAC covers the original one, the answer goes to the new one.
func TestCheck_originalID(t *testing.T) {
	k := newKey(tsig.HMACSHA256)
	msg := tsig.NewChain(k).Sign(message(t, 100), start)
	binary.BigEndian.PutUint16(msg, 200)
	req := check(t, msg, k, start)
	if req.Err != nil {
		t.Fatal(req.Err)
	}
	if id := binary.BigEndian.Uint16(req.Message); id != 200 {
		t.Errorf("the message handed on has ID %d, want 200", id)
	}
}

// A TSIG that is not last, doubled, in another section, cut, of another class or with a TTL is malformed (RFC 8945, Section 5.1).
func TestFind_refusesMisplacedRecords(t *testing.T) {
	k := newKey(tsig.HMACSHA256)
	good := tsig.NewChain(k).Sign(message(t, 5), start)
	at, _ := tsig.Find(good)
	twice := append(append([]byte(nil), good...), good[at:]...)
	binary.BigEndian.PutUint16(twice[10:], 2)
	answer := append([]byte(nil), good...)
	binary.BigEndian.PutUint16(answer[10:], 0)
	binary.BigEndian.PutUint16(answer[6:], 1)
	for name, m := range map[string][]byte{"twice": twice, "in the answer": answer, "cut": good[:len(good)-1], "octets after": append(append([]byte(nil), good...), 0)} {
		if _, err := tsig.Find(m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for off, what := range map[int]string{2: "class", 4: "TTL", 9: "RDLENGTH"} {
		m := append([]byte(nil), good...)
		m[at+len(k.Name)+off] ^= 1
		if _, err := tsig.Read(m, at); !errors.Is(err, tsig.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A request that dig signed in 2023, and its key (dnsjava's own test data). The MAC must be what dig computed.
func TestCheck_recordedRequest(t *testing.T) {
	b, err := os.ReadFile(corpora.Path(t, "zones", "dnsjava", "tsig-axfr", "request.bin"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := base64.StdEncoding.DecodeString("q4Gsu0nYoyub20//PATXhABobmrVUQyqq5TFzYHfC7o=")
	k := &tsig.Key{Name: wire.Name("\x10dnssecishardtest\x00"), Algorithm: tsig.HMACSHA256, Secret: secret}
	if n := int(binary.BigEndian.Uint16(b)); n != len(b)-2 {
		t.Fatalf("length %d of %d octets", n, len(b)-2)
	}
	b = b[2:]
	req := check(t, b, k, time.Unix(0x6542ba78, 0))
	if req.Err != nil {
		t.Fatal(req.Err)
	}
	b[20] ^= 0x20
	if req = check(t, b, k, time.Unix(0x6542ba78, 0)); req.Err == nil || req.Err.Code != wire.BadSig {
		t.Errorf("changed request: %v, want BADSIG", req.Err)
	}
}

// The digest components written out by hand from RFC 8945, Section 4.3, so that both sides cannot be wrong alike.
func TestSign_coversWhatTheRFCSays(t *testing.T) {
	k := &tsig.Key{Name: wire.Name("\x01K\x00"), Algorithm: tsig.HMACSHA256, Secret: []byte{1, 2, 3}}
	msg := message(t, 0x1234)
	signed := tsig.NewChain(k).Sign(append([]byte(nil), msg...), time.Unix(0x0102030405, 0))
	input := append([]byte(nil), msg...)
	input = append(input, "\x01k\x00\x00\xff\x00\x00\x00\x00\x0bhmac-sha256\x00"...)
	input = append(input, 0, 1, 2, 3, 4, 5, 1, 0x2C, 0, 0, 0, 0)
	at, _ := tsig.Find(signed)
	r, err := tsig.Read(signed, at)
	if err != nil {
		t.Fatal(err)
	}
	if want := reference(k.Secret, input); hex.EncodeToString(r.MAC) != want {
		t.Errorf("MAC %x, want %s", r.MAC, want)
	}
	if !bytes.Equal(signed[:10], msg[:10]) || signed[11] != 1 {
		t.Error("signing changed more of the header than ARCOUNT")
	}
}

func TestKey_neverPrintsItsSecret(t *testing.T) {
	k := newKey(tsig.HMACSHA256)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if s := fmt.Sprintf(verb, k); strings.Contains(s, "secret") || strings.Contains(s, hex.EncodeToString([]byte("secret"))) {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}
