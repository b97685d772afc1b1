package event

import "time"

// Severity orders findings for people.
type Severity uint8

const (
	Info Severity = iota
	Warning
	Critical
)

var severityNames = [...]string{"info", "warning", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "info"
}

// Finding is a conclusion about one subject: "the share of NXDOMAIN in example.org is far above its own baseline".
// One open Finding stands for each (Kind, Subject); a detector that sees it again updates it.
type Finding struct {
	ID       string    `json:"id"`      // stable, greppable: kind-subject-start
	Kind     string    `json:"kind"`    // e.g. "nx-share", "zone-refused"; the metric label and the key of its texts
	Subject  string    `json:"subject"` // what it is about: a zone, a client prefix, a node
	Node     string    `json:"node"`
	Severity Severity  `json:"severity"`
	Opened   time.Time `json:"opened"`
	Updated  time.Time `json:"updated"`
	Closed   time.Time `json:"closed,omitzero"` // zero while it lasts
	Facts    []Fact    `json:"facts"`           // the figures it rests on, in the order to be shown
	Evidence string    `json:"evidence,omitempty"`
}

// Open tells whether the finding still lasts.
func (f *Finding) Open() bool { return f.Closed.IsZero() }

// Fact is one named figure or text of a Finding. Name is a catalogue key.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Sink takes findings. A Finding with the Kind and Subject of an open one updates or, with Closed set, ends it.
// Report must not wait for disk or network.
type Sink interface{ Report(Finding) }
