package resolve

import "time"

// Limits of one resolution, over everything that it needs on the way: addresses of servers, keys, DS records. servers.md 3.1 has what
// others chose. Each is met with SERVFAIL, an EDE that says which, and the failure is cached (RFC 9520, Section 3.2).
const (
	// MaxSends bounds the questions sent to servers (CAMP, NXNSAttack, NRDelegation: fan-out of any kind).
	MaxSends = 200
	// MaxSendsOfLink bounds them for one name and type, without what it needs.
	MaxSendsOfLink = 32
	// MaxReferrals bounds the zones walked through for one name and type.
	MaxReferrals = 40
	// MaxChain bounds the CNAMEs and DNAMEs followed (chains of fresh names).
	MaxChain = 11
	// MaxDepth bounds how deep looking up addresses of servers may need looking up addresses of servers.
	MaxDepth = 6
	// MaxNames bounds the name servers of a delegation that are looked at (NXNSAttack: referrals with many names).
	MaxNames = 20
	// MaxAddresses bounds the addresses kept of one name server (shared-address NS, glue floods).
	MaxAddresses = 12
	// MaxTargets bounds the names of one delegation whose addresses are looked up, MaxTargetsOfTask those of a resolution (NXNSAttack).
	MaxTargets       = 8
	MaxTargetsOfTask = 40
	// MaxTargetsFailed of one delegation may come to nothing (NRDelegation).
	MaxTargetsFailed = 5
	// MaxBytes bounds the octets received (large answers to many sub-questions).
	MaxBytes = 1 << 20
	// MaxTime bounds the time. Nobody waits for an answer so long.
	MaxTime = 12 * time.Second
	// MaxWait bounds the time that one question to one server is waited for, however slow it is known to be: clients wait meanwhile.
	MaxWait = 5 * time.Second
	// MaxTimeFirst bounds it for the servers of a configured zone that is resolved otherwise when they fail: time for that must be left.
	MaxTimeFirst = 4 * time.Second
	// MaxTries bounds how often one server is asked one question when it does not answer.
	MaxTries = 5
	// MaxEmpty bounds how many servers are asked again because the answer was empty without SOA.
	MaxEmpty = 2
	// MaxBogus bounds how many other servers are asked when the answer of one does not validate.
	MaxBogus = 4
	// MaxMinimised bounds the steps of QNAME minimisation, the first MinimiseOneLabel of which add one label (RFC 9156, Section 2.3).
	MaxMinimised     = 10
	MinimiseOneLabel = 4
	// MaxTasks is how many resolutions may be under way in an engine if the configuration does not say.
	MaxTasks = 4096
)

// spent is what a resolution has used.
type spent struct {
	sends, bytes, targets int
	waited                time.Duration // for servers
}

// Codes of RFC 8914.
const (
	reasonOther       = 0
	reasonStale       = 3
	reasonBogus       = 6
	reasonNotReady    = 14
	reasonBlocked     = 15
	reasonUnreachable = 22
	reasonNetwork     = 23
	reasonInvalid     = 24
	// reasonLimit is of our own, for results that are the asker's own exhaustion; it becomes reasonOther towards clients.
	reasonLimit = 0xFF00
)
