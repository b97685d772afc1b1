// Package dnssec holds the arithmetic of DNSSEC: hashed names, key tags, canonical form, signatures (RFC 4034, RFC 5155).
//
// The package promises: pure functions; time is an argument. It refuses to decide policy: which algorithm counts is data of
// the caller.
package dnssec
