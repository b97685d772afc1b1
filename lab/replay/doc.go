// Package replay runs .rpl scenarios, tests of a recursive resolver as Unbound's testbound and Deckard write them, against a System
// with a simulated network and a simulated clock. The grammar is described beside the files (corpora/rpl/README.md).
//
// It promises: the same file, seed and System give the same run; no socket, no file and no real clock is touched by a run; a
// file counts as passed only if every check in it held, nothing was left unanswered and nothing unchecked. What a file asks
// for and is not modelled makes it skipped, with the cause (skips.txt), never passed.
//
// The two dialects cut the resolver at different places, and so does the System. Unbound's replaces the layer that sends:
// questions go out and replies come in, with no retransmission, ID, port, 0x20, TC or EDNS fallback between them. Deckard's is the
// network itself: datagrams and stream messages as octets, and a clock that runs while a client waits.
//
// It refuses files that do not fit the grammar, with file and line, and never guesses.
//
// Limits today: a stream has no connection set-up, and a datagram of any size arrives; Deckard's TSIG is read and not done;
// the text of key files and zone files is compared by keys, states and records, not octet for octet.
package replay
