// Package internet is a simulated Internet of name servers for resolvers to work in: a root, 300 top-level domains, any number of
// second-level zones with hosts, name servers that share addresses, a share of zones signed with every algorithm, a share broken in every
// known way.
//
// It promises: everything follows from a seed and a size, so that two worlds of one seed say the same, octet for octet; nothing is stored per
// zone, what is kept of zones and signatures is bounded, and a world of a million zones is there at once. Truth tells of each name what an
// honest resolver must answer, so that tests and benchmarks count successes and not answers.
//
// A world is asked without sockets (World.Handle), or over real ones (World.Serve): all its servers behind one wildcard socket, each at an
// address of its own, so that a resolver that was not made for it can work in it.
//
// It refuses to be mistaken for the Internet: its servers live in loopback or benchmarking addresses (RFC 2544), its hosts in those for
// documentation (RFC 5737), and its root has a key of its own.
//
// Limits today: the time is not simulated here (Handle says how long a reply takes); zones do not change; classes other than IN are refused;
// NSEC3 of registries covers one hash each (RFC 7129, Appendix B), that of other zones is a whole chain. Signatures are valid from 2025 to 2035.
//
// Where to look: world.go what there is, names.go and registry.go the generated names, content.go the zones, kind.go what is broken and
// how, answer.go one question at one server, denial.go and sign.go DNSSEC, server.go how servers misbehave, truth.go the truth.
package internet
