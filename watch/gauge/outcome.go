package gauge

import "anyu/event"

// Outcome is what an observation means for the success rate.
//
//	success rate = Success / (Success + Failure)
//
// Undeserving questions are outside of the fraction: nobody promised them an answer. Unknown ones too: the reply was
// not observed, and what is unknown is not a failure.
type Outcome uint8

const (
	Success Outcome = iota
	Failure
	Undeserving
	Unknown
	outcomes = 4
)

var outcomeNames = [outcomes]string{"success", "failure", "undeserving", "unknown"}

func (o Outcome) String() string { return outcomeNames[o&3] }

// OutcomeOf decides in this order: what the policy did, whether there was a reply at all, the Extended DNS Error, the rcode.
func OutcomeOf(q *event.Query) Outcome {
	if q.Has&event.HasReply == 0 {
		return Unknown
	}
	if q.From == event.FromPolicy {
		// Refused, rate-limited (also by a truncated reply), dropped or rewritten on purpose.
		return Undeserving
	}
	if q.ReplySize == 0 {
		if q.From == event.FromError {
			return Undeserving // not a DNS question: silence is the right answer
		}
		return Failure // timed out, or lost inside
	}
	if q.Has&event.HasReason != 0 && int(q.Reason) < len(byReason) {
		if v := byReason[q.Reason]; v != byRcodeOnly {
			return Outcome(v)
		}
	}
	if int(q.Rcode) < len(byRcode) {
		return byRcode[q.Rcode]
	}
	return Failure
}

// byRcode: NODATA, referrals and truncated replies are NOERROR and so successes; the client got what there is to get.
var byRcode = [...]Outcome{
	0:  Success,     // NOERROR
	1:  Undeserving, // FORMERR: the question was malformed
	2:  Failure,     // SERVFAIL
	3:  Success,     // NXDOMAIN: "there is no such name" is an answer
	4:  Undeserving, // NOTIMP: asked for what nobody offered
	5:  Undeserving, // REFUSED: by policy, or not our zone
	6:  Success,     // YXDOMAIN: the right answer where a DNAME makes the name too long (RFC 6672, Section 2.2)
	7:  Success,     // YXRRSET: a prerequisite of an update, rightly found unmet (RFC 2136, Section 3.2)
	8:  Success,     // NXRRSET: the same
	9:  Undeserving, // NOTAUTH: asked the wrong server, or with a wrong signature (RFC 8945, Section 5.2)
	10: Undeserving, // NOTZONE: an update outside its own zone
	11: Undeserving, // DSOTYPENI: RFC 8490, Section 5.4.2
	12: Failure,     // unassigned, up to 15: we never send them, another server's are no answers
	13: Failure,
	14: Failure,
	15: Failure,
	16: Undeserving, // BADVERS: EDNS version not offered (RFC 6891, Section 6.1.3)
	17: Undeserving, // BADKEY, BADTIME and so on: the client's signature (RFC 8945)
	18: Undeserving,
	19: Undeserving,
	20: Undeserving,
	21: Undeserving,
	22: Undeserving,
	23: Undeserving, // BADCOOKIE: the client comes again with the cookie it was given (RFC 7873, Section 5.2.3)
}

// byRcodeOnly marks a reason that changes nothing.
const byRcodeOnly = 0xFF

// byReason: the INFO-CODEs of RFC 8914, Section 4, and of the IANA registry after it, each with what it decides.
var byReason = [...]uint8{
	0:  byRcodeOnly,        // Other Error
	1:  byRcodeOnly,        // Unsupported DNSKEY Algorithm: treated as insecure, so it is an answer
	2:  byRcodeOnly,        // Unsupported DS Digest Type: the same
	3:  uint8(Success),     // Stale Answer: late, but an answer (RFC 8767)
	4:  uint8(Undeserving), // Forged Answer: policy put something else in its place
	5:  byRcodeOnly,        // DNSSEC Indeterminate
	6:  byRcodeOnly,        // DNSSEC Bogus: SERVFAIL is a failure for the person who asked, whoever broke the zone; with CD it is an answer
	7:  byRcodeOnly,        // Signature Expired: the same
	8:  byRcodeOnly,        // Signature Not Yet Valid: the same
	9:  byRcodeOnly,        // DNSKEY Missing: the same
	10: byRcodeOnly,        // RRSIGs Missing: the same
	11: byRcodeOnly,        // No Zone Key Bit Set: the same
	12: byRcodeOnly,        // NSEC Missing: the same
	13: uint8(Failure),     // Cached Error
	14: uint8(Failure),     // Not Ready: a zone or server still loading is our lateness, also where it says REFUSED
	15: uint8(Undeserving), // Blocked: by our policy
	16: uint8(Undeserving), // Censored: by somebody's order
	17: uint8(Undeserving), // Filtered: as the client wished
	18: uint8(Undeserving), // Prohibited: this client may not ask
	19: uint8(Success),     // Stale NXDOMAIN Answer
	20: uint8(Undeserving), // Not Authoritative: not our zone, and no recursion for it
	21: uint8(Undeserving), // Not Supported
	22: uint8(Failure),     // No Reachable Authority
	23: uint8(Failure),     // Network Error
	24: uint8(Failure),     // Invalid Data: an expired copy of a zone, a broken upstream
	25: byRcodeOnly,        // Signature Expired before Valid: as 7
	26: uint8(Undeserving), // Too Early: RFC 9250, Section 4.5: the client repeats it after the handshake
	27: byRcodeOnly,        // Unsupported NSEC3 Iterations Value: insecure or SERVFAIL, by rcode (RFC 9276, Section 3.2)
	28: byRcodeOnly,        // Unable to conform to policy
	29: byRcodeOnly,        // Synthesized: from a wildcard or NSEC (RFC 8198), an answer
	30: uint8(Undeserving), // Invalid Query Type (RFC 9824, Section 4)
}
