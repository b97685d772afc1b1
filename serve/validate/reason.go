package validate

import (
	"errors"
	"fmt"
	"time"

	"anyu/dns/dnssec"
	"anyu/event"
)

// Reasons: INFO-CODEs of RFC 8914, Section 4, and RFC 9276 (27).
const (
	NoReason              = event.NoReason
	ReasonKeyAlgorithm    = 1
	ReasonDigest          = 2
	ReasonIndeterminate   = 5
	ReasonBogus           = 6
	ReasonExpired         = 7
	ReasonNotYet          = 8
	ReasonNoKey           = 9
	ReasonNoSignature     = 10
	ReasonNoZoneKey       = 11
	ReasonNoDenial        = 12
	ReasonNetwork         = 23
	ReasonNSEC3Iterations = 27
)

// verdict is a security and why.
type verdict struct {
	security dnssec.Security
	reason   uint16
	text     string
	chain    bool // it is about the keys of a zone, not about the answer
}

func bogus(reason uint16, format string, args ...any) verdict {
	return verdict{security: dnssec.Bogus, reason: reason, text: clip(fmt.Sprintf(format, args...))}
}

func insecure(reason uint16, format string, args ...any) verdict {
	return verdict{security: dnssec.Insecure, reason: reason, text: clip(fmt.Sprintf(format, args...))}
}

func secure() verdict { return verdict{security: dnssec.Secure, reason: NoReason} }

func clip(s string) string { return s[:min(len(s), maxText)] }

// reasoned is an error that knows its code of RFC 8914, as the resolver's may.
type reasoned interface{ Reason() uint16 }

func reasonOf(err error, otherwise uint16) uint16 {
	var r reasoned
	if errors.As(err, &r) && r.Reason() != NoReason {
		return r.Reason()
	}
	return otherwise
}

// worse keeps the explanation that helps most: a signature that was computed and is wrong says more than one that is too old, that
// more than a key that is missing.
func worse(a, b verdict) verdict {
	rank := func(v verdict) int {
		switch v.reason {
		case ReasonBogus:
			return 6
		case ReasonExpired:
			return 5
		case ReasonNotYet:
			return 4
		case ReasonNoZoneKey:
			return 3
		case ReasonNoKey:
			return 2
		case ReasonKeyAlgorithm:
			return 1
		}
		return 0
	}
	if a.text == "" || rank(b) > rank(a) {
		return b
	}
	return a
}

func dateText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
