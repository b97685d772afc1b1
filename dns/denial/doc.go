// Package denial reads NSEC and NSEC3 records and tells what they prove not to exist: a name, a type, a closer match than a
// wildcard, a DS record (RFC 4035, Section 5.4; RFC 5155, Section 8; RFC 6840, Section 4; RFC 9824).
//
// It promises: pure functions over RRsets whose signatures the caller has verified; a record counts only inside the zone that
// signed it, owner and next name alike; what the parent of a cut says of the child's data counts for nothing, and the other way
// round. Work is bounded: a Proof reads at most MaxRecords records, and each NSEC3 hash is taken from the Hashes that the
// caller gives.
//
// It refuses to look at signatures, times and message codes: those are the validator's.
//
// Limits today: NSEC3 with hash algorithm 1 only, there is no other; records of one set of NSEC3 parameters a Proof, the first
// that is met.
package denial

// MaxRecords is how many NSEC and NSEC3 records of one message are looked at. An honest proof needs three (CVE-2026-42923,
// CVE-2026-11605: proofs padded with dozens of records).
const MaxRecords = 8

// DefaultIterations is the highest count of NSEC3 iterations that is computed. RFC 9276, Section 3.2: a validator may treat what
// is above as insecure; BIND, Knot Resolver and PowerDNS have 50 (CVE-2023-50868).
const DefaultIterations = 50
