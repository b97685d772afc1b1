package live

import "time"

// Status is how a source is. The JSON is part of `anyu control status --json`.
type Status struct {
	Connections int    `json:"connections"`
	Refused     uint64 `json:"refused_connections"`
	Identity    string `json:"identity,omitempty"` // as the observed server names itself

	Messages           uint64 `json:"messages"`
	Queries            uint64 `json:"queries"`
	Responses          uint64 `json:"responses"`
	Matched            uint64 `json:"matched"`
	UnmatchedQueries   uint64 `json:"unmatched_queries"`
	UnmatchedResponses uint64 `json:"unmatched_responses"`
	Waiting            int    `json:"waiting"`  // messages that lack their counterpart yet
	Crowded            uint64 `json:"crowded"`  // given up for room, among the unmatched ones
	Outgoing           uint64 `json:"outgoing"` // transactions that the server asked others: not counted as queries
	Events             uint64 `json:"events"`   // without a DNS message
	Malformed          uint64 `json:"malformed"`
	Broken             uint64 `json:"broken"`  // frames or packets that could not be read
	Dropped            uint64 `json:"dropped"` // observations that found the ring full
	Lost               uint64 `json:"lost"`    // packets that the kernel did not keep for us

	Last    time.Time      `json:"last,omitzero"`      // arrival of the last message
	Lag     *time.Duration `json:"lag_ns,omitempty"`   // smallest age of messages at their arrival lately; negative: the server's clock is ahead
	CPU     *float64       `json:"cpu,omitempty"`      // of the observed process on this machine, share of its CPUs
	Memory  *uint64        `json:"resident,omitempty"` // octets
	Problem string         `json:"problem,omitempty"`  // what went wrong last
}

// Status tells how the source is.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.table.Counts
	st := Status{
		Connections: len(s.writers), Refused: s.refused, Identity: s.identity,
		Messages: c.Messages, Queries: c.Queries, Responses: c.Responses, Matched: c.Matched, UnmatchedQueries: c.UnmatchedQueries,
		UnmatchedResponses: c.UnmatchedResponses, Waiting: s.table.Waiting(), Crowded: c.Crowded, Outgoing: s.outgoing, Events: c.Events(), Malformed: c.Wrong(),
		Broken: s.broken, Dropped: s.ring.Dropped(), Last: s.last, Problem: s.problem,
	}
	if d, ok := s.lag.value(); ok {
		st.Lag = &d
	}
	if s.loaded {
		cpu, resident := s.cpu, s.resident
		st.CPU, st.Memory = &cpu, &resident
	}
	if s.packets != nil {
		st.Lost = s.packets.lost()
	}
	return st
}
