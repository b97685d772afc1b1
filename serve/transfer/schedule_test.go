package transfer_test

import (
	"testing"
	"time"

	"anyu/serve/transfer"
)

var dawn = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

const none = -1 * time.Second // no EXPIRE told

// at is a time after dawn, in seconds.
func at(s int) time.Time { return dawn.Add(time.Duration(s) * time.Second) }

// expectWish checks the next deed.
func expectWish(t *testing.T, s *transfer.Schedule, now time.Time, do transfer.Deed, primary int) {
	t.Helper()
	if got, p, _ := s.Wish(now); got != do || got != transfer.DoWait && p != primary {
		t.Fatalf("at %v: deed %d with primary %d, want %d with %d", now.Sub(dawn), got, p, do, primary)
	}
}

func expectWait(t *testing.T, s *transfer.Schedule, now, until time.Time) {
	t.Helper()
	if do, _, got := s.Wish(now); do != transfer.DoWait || !got.Equal(until) {
		t.Fatalf("at %v: deed %d until %v, want to wait until %v", now.Sub(dawn), do, got.Sub(dawn), until.Sub(dawn))
	}
}

func plainTimers() transfer.Timers {
	return transfer.NewTimers(100*time.Second, 20*time.Second, 400*time.Second)
}

// A life of a secondary: fetched, refreshed, the primary dies, it retries, expires, and the primary comes back
// (RFC 1034, Section 4.3.5). servers.md 5.1, case 39.
func TestSchedule_refreshRetryExpire(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0)
	expectWish(t, s, at(0), transfer.DoAXFR, 0)
	s.Fetched(at(1), 7, plainTimers(), none)
	expectWait(t, s, at(1), at(101))
	expectWish(t, s, at(101), transfer.DoAsk, 0)
	s.Answered(at(101), 7, none) // nothing new
	expectWait(t, s, at(102), at(201))
	expectWish(t, s, at(201), transfer.DoAsk, 0)
	s.Answered(at(201), 8, none)
	expectWish(t, s, at(201), transfer.DoIXFR, 0)
	s.Fetched(at(202), 8, plainTimers(), none)
	expectWish(t, s, at(302), transfer.DoAsk, 0)
	s.Fail(at(302), false)
	for now := 322; now < 602; now += 20 {
		expectWait(t, s, at(now-1), at(now))
		expectWish(t, s, at(now), transfer.DoAsk, 0)
		s.Fail(at(now), false)
	}
	expectWish(t, s, at(602), transfer.DoExpire, 0)
	s.Expire()
	expectWish(t, s, at(602), transfer.DoAsk, 0)
	s.Answered(at(602), 8, none) // the same version is good again
	if s.Expired() {
		t.Error("confirmed, and still expired")
	}
	expectWait(t, s, at(603), at(702))
}

// While it waits for the next refresh a secondary wakes up to expire in time.
func TestSchedule_wakesUpToExpire(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0)
	s.Loaded(7, plainTimers(), at(0), at(50))
	expectWait(t, s, at(1), at(50))
	expectWish(t, s, at(50), transfer.DoExpire, 0)
}

// What is on disk is served until it expires, and refreshed when its time has come, not at once.
func TestSchedule_goesOnAfterARestart(t *testing.T) {
	s := transfer.NewSchedule(at(30), []bool{false}, 0)
	s.Loaded(7, plainTimers(), at(0), at(400))
	expectWait(t, s, at(30), at(100))
	late := transfer.NewSchedule(at(300), []bool{false}, 0)
	late.Loaded(7, plainTimers(), at(0), at(400))
	expectWish(t, late, at(300), transfer.DoAsk, 0)
}

// Primaries are tried in turn; one behind us does not change what we have; only when all failed the retry timer runs.
func TestSchedule_primariesInTurn(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false, true, false}, 0)
	s.Loaded(7, plainTimers(), at(-100), at(400))
	expectWish(t, s, at(0), transfer.DoAsk, 0)
	s.Fail(at(0), false)
	expectWish(t, s, at(0), transfer.DoIXFR, 1) // over TLS without asking before
	s.Fail(at(0), false)
	expectWish(t, s, at(0), transfer.DoAsk, 2)
	if !s.Answered(at(0), 6, none) {
		t.Error("a primary with serial 6 is not behind 7")
	}
	expectWait(t, s, at(1), at(20))
	expectWish(t, s, at(20), transfer.DoAsk, 0)
	// RFC 1982: 7 + 2^31 is neither newer nor older: it is not taken.
	if !s.Answered(at(20), 7+1<<31, none) {
		t.Error("a serial half the circle away counts as newer")
	}
}

// IXFR that does not fit is followed by AXFR from the same primary; if that fails too, the next one's turn comes. case 71
func TestSchedule_wholeZoneAfterChangesFail(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false, false}, 0)
	s.Loaded(7, plainTimers(), at(-100), at(400))
	expectWish(t, s, at(0), transfer.DoAsk, 0)
	s.Answered(at(0), 9, none)
	expectWish(t, s, at(0), transfer.DoIXFR, 0)
	s.Fail(at(0), true)
	expectWish(t, s, at(0), transfer.DoAXFR, 0)
	s.Fail(at(0), true)
	expectWish(t, s, at(0), transfer.DoAsk, 1)
}

// NOTIFY begins a round at once with who sent it, not for a serial we have, and not more often than once a second
// (RFC 1996, Sections 3.11, 4.4).
func TestSchedule_notify(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false, false}, 0)
	s.Loaded(7, plainTimers(), at(0), at(400))
	s.Told(at(5), 1, transfer.NewNotice(7, true, false))
	expectWait(t, s, at(5), at(100))
	s.Told(at(6), 1, transfer.NewNotice(8, true, false))
	expectWish(t, s, at(6), transfer.DoAsk, 1)
	s.Told(at(6), 0, transfer.NewNotice(9, true, false)) // during the round
	s.Answered(at(6), 7, none)
	expectWait(t, s, at(6), at(7))
	expectWish(t, s, at(7), transfer.DoAsk, 0)
	s.Answered(at(7), 7, none)
	for range 1000 {
		s.Told(at(7), 0, transfer.NewNotice(0, false, false))
	}
	expectWait(t, s, at(7), at(8))
	// A person's wish is for the whole zone, and now.
	s.Told(at(7), -1, transfer.NewNotice(0, false, true))
	expectWish(t, s, at(7), transfer.DoAXFR, 0)
}

// A NOTIFY whose version the primary does not show yet, or whose look is lost, is not forgotten until the SOA's refresh: the primary has
// its answer and does not repeat it (RFC 1996, Section 3.6). One with a made-up serial costs a few questions.
func TestSchedule_looksAgainForWhatANotifyNamed(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0)
	s.Loaded(7, plainTimers(), at(0), at(400))
	s.Told(at(5), 0, transfer.NewNotice(9, true, false))
	expectWish(t, s, at(5), transfer.DoAsk, 0)
	s.Answered(at(5), 7, none) // not yet
	expectWait(t, s, at(5), at(7))
	expectWish(t, s, at(7), transfer.DoAsk, 0)
	s.Fail(at(8), false) // lost
	expectWait(t, s, at(8), at(12))
	expectWish(t, s, at(12), transfer.DoAsk, 0)
	s.Answered(at(12), 8, none) // the version before
	expectWish(t, s, at(12), transfer.DoIXFR, 0)
	s.Fetched(at(12), 8, plainTimers(), none)
	expectWait(t, s, at(12), at(20))
	expectWish(t, s, at(20), transfer.DoAsk, 0)
	s.Answered(at(20), 8, none)
	expectWait(t, s, at(20), at(36))
	expectWish(t, s, at(36), transfer.DoAsk, 0)
	s.Answered(at(36), 8, none)
	expectWait(t, s, at(36), at(136)) // given up
	s.Told(at(40), 0, transfer.NewNotice(9, true, false))
	expectWish(t, s, at(40), transfer.DoAsk, 0)
	s.Answered(at(40), 9, none)
	s.Fetched(at(41), 9, plainTimers(), none)
	expectWait(t, s, at(41), at(141)) // there
}

// RFC 1996, Section 4.4: of what comes while the keeper is busy with a version, the newest counts.
func TestWake_keepsTheNewestNotice(t *testing.T) {
	a, b := transfer.NewNotice(8, true, false), transfer.NewNotice(9, true, false)
	unknown, wish := transfer.NewNotice(0, false, false), transfer.NewNotice(0, false, true)
	for _, test := range []struct {
		notices []transfer.Notice
		want    transfer.Notice
	}{
		{[]transfer.Notice{a, b}, b},
		{[]transfer.Notice{b, a}, b},
		{[]transfer.Notice{a, unknown, b}, transfer.NewNotice(9, false, false)},
		{[]transfer.Notice{wish, a}, transfer.NewNotice(8, false, true)},
	} {
		if got := transfer.Waiting(test.notices); got != test.want {
			t.Errorf("of %v waits %v, want %v", test.notices, got, test.want)
		}
	}
}

// Without a zone the waits grow from seconds to minutes.
func TestSchedule_waitsLongerWithoutAZone(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0)
	now := dawn
	for _, want := range []int{5, 10, 20, 40, 80, 160, 320, 600, 600} {
		expectWish(t, s, now, transfer.DoAXFR, 0)
		s.Fail(now, false)
		expectWait(t, s, now, now.Add(time.Duration(want)*time.Second))
		now = now.Add(time.Duration(want) * time.Second)
	}
}

// EXPIRE of a primary that is itself a secondary shortens the life of our copy, and never what we know better (RFC 7314, Section 4).
func TestSchedule_expireOption(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0)
	s.Fetched(at(0), 7, plainTimers(), 50*time.Second)
	expectWish(t, s, at(50), transfer.DoExpire, 0)
	s = transfer.NewSchedule(dawn, []bool{false}, 0)
	s.Fetched(at(0), 7, plainTimers(), none)
	expectWish(t, s, at(100), transfer.DoAsk, 0)
	s.Answered(at(100), 7, 10*time.Second)
	if do, _, _ := s.Wish(at(150)); do == transfer.DoExpire {
		t.Error("a primary near its own end took from us what another had confirmed")
	}
}

// Zones with equal timers do not ask at one moment.
func TestSchedule_spreadsRefreshes(t *testing.T) {
	s := transfer.NewSchedule(dawn, []bool{false}, 0.5)
	s.Fetched(at(0), 7, plainTimers(), none)
	expectWait(t, s, at(0), at(95))
}

// The timers of a SOA are bounded, whatever it says (RFC 1035, Section 3.3.13).
func TestTimersOf_bounds(t *testing.T) {
	field := func(refresh, retry, expire uint32) []byte {
		b := []byte{0, 0, 0, 0, 0, 1}
		for _, v := range []uint32{refresh, retry, expire, 60} {
			b = append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
		}
		return b
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		soa                    []byte
		refresh, retry, expire time.Duration
	}{
		{field(0, 0, 0), 10 * time.Second, 5 * time.Second, 15 * time.Second},
		{field(3600, 600, 86400), time.Hour, 10 * time.Minute, day},
		{field(1<<32-1, 1<<32-1, 1<<32-1), 28 * day, 28 * day, 366 * day},
		{field(3600, 600, 10), time.Hour, 10 * time.Minute, 70 * time.Minute},
	} {
		if a, b, e := transfer.TimersIn(c.soa); a != c.refresh || b != c.retry || e != c.expire {
			t.Errorf("%v %v %v, want %v %v %v", a, b, e, c.refresh, c.retry, c.expire)
		}
	}
}
