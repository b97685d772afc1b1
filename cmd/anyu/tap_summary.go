package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"anyu/watch/tap"
	"anyu/watch/tap/capture"
)

// tapSummary is what came of a file, and the JSON that scripts may rely on: keys are added, never renamed.
type tapSummary struct {
	File    string `json:"file"`
	Format  string `json:"format"`
	Error   string `json:"error,omitempty"`
	Frames  uint64 `json:"frames"`            // frames, packets or items
	Packets uint64 `json:"packets,omitempty"` // of a capture

	Messages           uint64 `json:"messages"`
	Queries            uint64 `json:"queries"`
	Responses          uint64 `json:"responses"`
	Matched            uint64 `json:"matched"` // transactions with both
	UnmatchedQueries   uint64 `json:"unmatched_queries"`
	UnmatchedResponses uint64 `json:"unmatched_responses"`
	Continued          uint64 `json:"continued"` // responses after the first of a zone transfer
	Crowded            uint64 `json:"crowded"`   // unmatched ones given up before their time, since too many waited
	Events             uint64 `json:"events"`    // dnstap without a DNS message
	Malformed          uint64 `json:"malformed"` // messages, by reason below
	Defects            uint64 `json:"defects"`   // packets, by reason below
	Broken             uint64 `json:"broken"`    // places where the file itself could not be read
	Lost               uint64 `json:"lost"`      // packets that whoever captured says he lost
	UnknownTypes       uint64 `json:"unknown_types"`
	Converted          uint64 `json:"converted,omitempty"`
	NotConverted       uint64 `json:"not_converted,omitempty"`

	First *time.Time `json:"first,omitempty"`
	Last  *time.Time `json:"last,omitempty"`

	Kinds   map[string]uint64 `json:"kinds"`
	Reasons map[string]uint64 `json:"reasons"` // why packets became no message, and what was wrong with messages
}

func summarize(file string, r *tap.Reader, failure error) *tapSummary {
	c := &r.Table.Counts
	s := &tapSummary{
		File: file, Format: r.Format, Frames: r.Frames, Messages: c.Messages, Queries: c.Queries, Responses: c.Responses, Matched: c.Matched,
		UnmatchedQueries: c.UnmatchedQueries, UnmatchedResponses: c.UnmatchedResponses, Continued: c.Continued, Crowded: c.Crowded,
		Events: c.Malformed[tap.NoMessage], Malformed: c.Wrong(), Broken: r.Broken, Lost: r.Lost, UnknownTypes: r.Unknown,
		Kinds: map[string]uint64{}, Reasons: map[string]uint64{},
	}
	if failure != nil {
		s.Error = failure.Error()
	}
	for k, n := range c.Kinds {
		if n > 0 {
			s.Kinds[tap.Kind(k).String()] = n
		}
	}
	for p, n := range c.Malformed {
		if n > 0 {
			s.Reasons[tap.Problem(p).String()] = n
		}
	}
	if r.Packets != nil {
		s.Packets = r.Packets.Packets
		for i, n := range r.Packets.Reasons {
			if why := capture.Reason(i); n > 0 {
				s.Reasons[why.String()] = n
				if why.Defect() {
					s.Defects += n
				}
			}
		}
	}
	if c.First != 0 {
		first, last := time.Unix(0, c.First).UTC(), time.Unix(0, c.Last).UTC()
		s.First, s.Last = &first, &last
	}
	return s
}

// finish prints the summary: on the screen where only it was asked for, else behind the transactions.
func (t *tapping) finish(s *tapSummary) {
	if t.json {
		writeJSON(t.screen, s)
		return
	}
	s.print(t.screen)
}

func (s *tapSummary) print(w io.Writer) {
	line := func(name string, n uint64) {
		if n > 0 {
			fmt.Fprintf(w, "# %-22s %d\n", name, n)
		}
	}
	fmt.Fprintf(w, "# %-22s %s\n", "format", s.Format)
	line("frames", s.Frames)
	fmt.Fprintf(w, "# %-22s %d: %d queries, %d responses\n", "messages", s.Messages, s.Queries, s.Responses)
	fmt.Fprintf(w, "# %-22s %d\n", "matched", s.Matched)
	fmt.Fprintf(w, "# %-22s %d queries, %d responses\n", "unmatched", s.UnmatchedQueries, s.UnmatchedResponses)
	line("more of transfers", s.Continued)
	line("given up for room", s.Crowded)
	line("malformed messages", s.Malformed)
	line("defective packets", s.Defects)
	line("unreadable places", s.Broken)
	line("lost by the capture", s.Lost)
	line("unknown types", s.UnknownTypes)
	line("converted", s.Converted)
	line("not converted", s.NotConverted)
	for _, name := range slices.Sorted(maps.Keys(s.Kinds)) {
		line("kind "+name, s.Kinds[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Reasons)) {
		fmt.Fprintf(w, "# %-22s %d: %s\n", "reason", s.Reasons[name], name)
	}
	if s.First != nil {
		const form = "2006-01-02T15:04:05.000000Z"
		fmt.Fprintf(w, "# %-22s %s to %s\n", "time", s.First.Format(form), s.Last.Format(form))
	}
}

// writeJSON prints an object on a line.
func writeJSON(w io.Writer, v any) {
	json.NewEncoder(w).Encode(v) // an error of the screen is told at its Flush
}
