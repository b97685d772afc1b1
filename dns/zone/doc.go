// Package zone keeps the data of a zone in memory and reads, writes, compares and checks it.
//
// A Zone is one immutable version: two B+trees of pages, one of the names of the zone in canonical order (RFC 4034,
// Section 6.1), one of the NSEC3 records by their hash, because those owners are not names of the zone (RFC 5155, Section
// 7.2.8). A page is one block of bytes, so that the garbage collector sees some ten thousand objects where a zone has a
// million names. Readers take no lock and allocate nothing; an Edit copies the pages it changes and shares the others with
// the version before.
//
// Load reads a master file (RFC 1035, Section 5; RFC 2308, Section 4; RFC 3597, Section 5) in blocks that are parsed side by
// side; like the whole-zone check of dns/dnssec it starts goroutines, which end before it returns. Files are opened only
// through LoadOptions.Open. Check finds what is wrong with a zone as a whole, Digest and CheckZONEMD implement RFC 8976.
//
// What it refuses: a zone without exactly one SOA at its apex, classes that differ, RDATA that does not have the shape of
// its type, and whatever exceeds the limits in limits.go. Records outside the zone are left out with a warning.
//
// Limits today: signatures are not checked here (dns/dnssec does that); the whole zone is held in memory.
package zone
