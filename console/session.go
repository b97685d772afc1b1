package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	sessionIdle = 2 * time.Hour
	maxSessions = 10_000 // (stops: memory filled by logins)
)

// sessions are those who are logged in, by the hash of their secret: memory that leaks logs nobody in.
type sessions struct {
	mu  sync.Mutex
	all map[[32]byte]*session
}

type session struct {
	user          string
	created, seen time.Time
}

func newSessions() *sessions { return &sessions{all: map[[32]byte]*session{}} }

// start makes a session and gives its secret, 256 random bits.
func (s *sessions) start(user string, now time.Time) string {
	var secret [32]byte
	rand.Read(secret[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions {
		s.sweep(now)
	}
	s.all[sha256.Sum256(secret[:])] = &session{user, now, now}
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// sweep forgets what is over, and the least used one if nothing is.
func (s *sessions) sweep(now time.Time) {
	var oldest [32]byte
	var when time.Time
	for key, one := range s.all {
		if one.over(now) {
			delete(s.all, key)
		} else if when.IsZero() || one.seen.Before(when) {
			oldest, when = key, one.seen
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

func (one *session) over(now time.Time) bool {
	return now.Sub(one.created) > sessionLife || now.Sub(one.seen) > sessionIdle
}

func sessionKey(secret string) (key [32]byte, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil || len(b) != 32 {
		return key, false
	}
	return sha256.Sum256(b), true
}

// get is the session of a secret.
func (s *sessions) get(secret string, now time.Time) (session, bool) {
	key, ok := sessionKey(secret)
	if !ok {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[key]
	if one == nil || one.over(now) {
		delete(s.all, key)
		return session{}, false
	}
	one.seen = now
	return *one, true
}

func (s *sessions) end(secret string) {
	if key, ok := sessionKey(secret); ok {
		s.mu.Lock()
		delete(s.all, key)
		s.mu.Unlock()
	}
}

// cookieName has the port: cookies do not know ports, and two consoles on one machine must not log each other out.
func (c *Console) cookieName() string {
	name := "anyu-session-" + strconv.Itoa(int(c.opts.Listen.Port()))
	if c.opts.Certificate != "" {
		return "__Host-" + name
	}
	return name
}

func (c *Console) setSession(w http.ResponseWriter, secret string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: c.cookieName(), Value: secret, Path: "/", HttpOnly: true, Secure: c.opts.Certificate != "",
		SameSite: http.SameSiteStrictMode, MaxAge: int(age / time.Second)})
}

func (c *Console) sessionSecret(r *http.Request) string {
	cookie, err := r.Cookie(c.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

// who tells who asks: a logged-in user, a user with Basic authentication, or on loopback, while there are no accounts, anybody.
func (c *Console) who(r *http.Request, now time.Time) (user string, ok bool) {
	if !c.opts.Users.Any() {
		// The console was opened on loopback, or the last account was removed since; then it stays closed.
		return "", c.opts.Listen.Addr().IsLoopback()
	}
	if one, ok := c.sessions.get(c.sessionSecret(r), now); ok {
		// An account that was removed, or has a new password, is logged out everywhere.
		if u, exists := c.opts.Users.Has(one.user); exists && !u.Changed.After(one.created) {
			return one.user, true
		}
		c.sessions.end(c.sessionSecret(r))
	}
	if name, password, given := r.BasicAuth(); given && c.basic(name, password, remote(r), now) {
		return name, true
	}
	return "", false
}

// token proves that a form came from a page of ours: it is bound to the session, or to this run where there is none.
func (c *Console) token(r *http.Request) string {
	mac := hmac.New(sha256.New, c.secret[:])
	mac.Write([]byte(c.sessionSecret(r)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokenRight checks it. A program that shows no sign of being a browser needs none: a page elsewhere cannot make a browser hide
// Origin, Sec-Fetch-Site and its cookies all at once.
func (c *Console) tokenRight(r *http.Request) bool {
	given := r.Header.Get("X-Csrf-Token")
	if given == "" {
		given = r.PostFormValue("csrf")
	}
	if given == "" {
		return r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Cookie") == ""
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(c.token(r))) == 1
}

// Limits of logins (stop: guessing passwords, and filling memory with hashing them).
const (
	freeTries    = 5                // wrong passwords before it becomes slow, by client and by name
	firstWait    = 2 * time.Second  // then doubled each time
	longestWait  = 15 * time.Minute // also how long a wrong try is remembered
	maxThrottled = 20_000
	hashesAtOnce = 2
	basicKept    = 5 * time.Minute // a right Basic password is not hashed again for this long
)

// throttle slows down those who guess.
type throttle struct {
	mu      sync.Mutex
	wrong   map[string]*failures
	basic   map[[32]byte]time.Time // right ones, until
	hashing chan struct{}
}

type failures struct {
	count int
	last  time.Time
}

func newThrottle() *throttle {
	return &throttle{wrong: map[string]*failures{}, basic: map[[32]byte]time.Time{}, hashing: make(chan struct{}, hashesAtOnce)}
}

// wait is how long nobody of this key may try.
func (t *throttle) wait(now time.Time, keys ...string) (longest time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		f := t.wrong[key]
		if f == nil || f.count < freeTries {
			continue
		}
		pause := min(firstWait<<min(f.count-freeTries, 12), longestWait)
		longest = max(longest, pause-now.Sub(f.last))
	}
	return longest
}

func (t *throttle) failed(now time.Time, keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.wrong) >= maxThrottled {
		for key, f := range t.wrong {
			if now.Sub(f.last) > longestWait {
				delete(t.wrong, key)
			}
		}
		if len(t.wrong) >= maxThrottled {
			clear(t.wrong)
		}
	}
	for _, key := range keys {
		f := t.wrong[key]
		if f == nil || now.Sub(f.last) > longestWait {
			f = &failures{}
			t.wrong[key] = f
		}
		f.count++
		f.last = now
	}
}

func (t *throttle) succeeded(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		delete(t.wrong, key)
	}
}

// network is whom a client is slowed down with: an IPv4 address, or an IPv6 /64 that one customer has to himself.
func network(addr netip.Addr) string {
	if addr.Is6() {
		p, err := addr.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// check compares name and password, slowed down; wait tells how long to stay away instead.
func (c *Console) check(name, password string, from netip.Addr, now time.Time) (right bool, wait time.Duration) {
	// The name is slowed down together with the network only: others must not lock a user out.
	keys := []string{"n " + network(from), "u " + network(from) + " " + name}
	if wait := c.logins.wait(now, keys...); wait > 0 {
		return false, wait
	}
	start := time.Now()
	c.logins.hashing <- struct{}{}
	defer func() { <-c.logins.hashing }()
	// Again: of many tries at once, those that waited here count the ones that failed before them.
	if wait := c.logins.wait(now, keys...); wait > 0 {
		return false, wait
	}
	right = c.opts.Users.Check(name, password)
	if !right {
		c.logins.failed(now.Add(time.Since(start)), keys...) // the wait begins with the answer, however long the queue was
		return false, 0
	}
	c.logins.succeeded(keys...)
	return true, 0
}

// basic is check for programs, which send the password each time.
func (c *Console) basic(name, password string, from netip.Addr, now time.Time) bool {
	u, exists := c.opts.Users.Has(name)
	mac := hmac.New(sha256.New, c.secret[:])
	mac.Write([]byte(name + "\x00" + u.Changed.String() + "\x00" + password))
	key := [32]byte(mac.Sum(nil))
	t := c.logins
	t.mu.Lock()
	until, known := t.basic[key]
	t.mu.Unlock()
	if exists && known && now.Before(until) {
		return true
	}
	if right, _ := c.check(name, password, from, now); !right {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.basic) >= 1000 {
		clear(t.basic)
	}
	t.basic[key] = now.Add(basicKept)
	return true
}
