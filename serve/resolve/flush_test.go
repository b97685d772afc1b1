package resolve_test

import (
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
)

// A name that is flushed while its answer is under way is not in the cache when that has come: the next who asks has it asked for again.
func TestResolve_anAnswerUnderWayDoesNotSurviveAFlush(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		e := engine(nil)
		flush := flushed
		world := func(server string, q dns.Question) *dns.Msg {
			if server == "10.0.0.1" {
				return referral(t, "example.")
			}
			if flush {
				e.Cache.Flush(name("www.example."), false)
				flush = false
			}
			return &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, q.Name+" 300 A 192.0.2.1")}
		}
		a, _ := walk(t, e, "www.example.", wire.TypeA, world)
		if len(a.Answer) != 1 || (a.Epoch == e.Cache.Epoch()) == flushed {
			t.Errorf("flushed %v: %+v, epoch %d", flushed, a, e.Cache.Epoch())
		}
		_, sent := walk(t, e, "www.example.", wire.TypeA, world)
		if asked := len(sent) > 0; asked != flushed {
			t.Errorf("flushed %v: then asked %v", flushed, sent)
		}
	}
}
