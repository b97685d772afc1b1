// Package wire reads and writes DNS messages: names, headers, questions, resource records and EDNS (RFC 1035, RFC 6891).
//
// A Parser pulls one item after the other out of a message, a Builder appends items to a buffer with name compression,
// and Query is the whole of a client's question read in one pass. None of them allocates.
//
// The package promises: no input makes it panic, loop, or do more work than a constant times the octets present; counts in
// a header are never trusted for memory. It refuses names over 255 octets, labels over 63, pointers that do not point
// backwards, and RDATA whose names leave the record. It does not interpret: what a zone or a resolver makes of a record
// is not its business.
//
// Limits today: RDATA of types without an entry in the layout table is opaque (RFC 3597), which is what the RFC asks.
//
// To add a type: its number and mnemonic in type.go, its layout in rdata.go.
package wire
