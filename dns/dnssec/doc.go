// Package dnssec holds the arithmetic of DNSSEC (RFC 4033 to 4035, RFC 5155, RFC 6840, RFC 9563) and the check of a whole
// signed zone.
//
// The arithmetic: key tags, DS digests, DNSKEY records read into public keys, the canonical form of an RRset, signatures
// verified, NSEC3 hashes. ParseKey and ParseSignature take any octets; what they accept is bounded, so that no key or
// signature makes one verification cost more than a few milliseconds. A Verifier verifies one signature with one key: how
// many of them are tried is for the caller to bound (CVE-2023-50387, KeyTrap).
//
// CheckZone verifies every signature of a zone and follows its chains of NSEC and NSEC3 records, on several goroutines that
// end before it returns; apart from that the package is pure. Time is an argument everywhere.
//
// It refuses to decide policy: which algorithm counts is data (Registry), and so is what a caller makes of it.
//
// Limits today: it does not sign; DSA, RSAMD5 and both GOST algorithms are known by name only.
package dnssec
