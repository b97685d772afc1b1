package trail

import "time"

// Row is one line of the query log, and with its tags the schema of the segments. What is nil, or empty where text is
// optional, was not observed, or not kept (Options.Without).
type Row struct {
	Time       int64  `parquet:"time,timestamp(microsecond),delta" json:"time"` // arrival, us since 1970 UTC; of the logging where the arrival is unknown
	Node       string `parquet:"node,dict" json:"node"`
	Source     string `parquet:"source,dict" json:"source"`
	Client     string `parquet:"client,optional,dict" json:"client,omitempty"`
	ClientPort *int32 `parquet:"client_port,optional" json:"client_port,omitempty"`
	Transport  string `parquet:"transport,dict" json:"transport"`
	Name       string `parquet:"qname,optional" json:"qname,omitempty"`             // presentation form in lower case, with the last dot
	NameAsked  string `parquet:"qname_asked,optional" json:"qname_asked,omitempty"` // the same as it was asked, where that had upper case
	Type       string `parquet:"qtype,optional,dict" json:"qtype,omitempty"`
	Class      string `parquet:"qclass,optional,dict" json:"qclass,omitempty"`
	Rcode      string `parquet:"rcode,optional,dict" json:"rcode,omitempty"` // none where there was no reply
	QueryFlags *int32 `parquet:"query_flags,optional,dict" json:"query_flags,omitempty"`
	Flags      *int32 `parquet:"flags,optional,dict" json:"flags,omitempty"`
	Payload    *int32 `parquet:"edns_payload,optional,dict" json:"edns_payload,omitempty"` // 0: no EDNS
	DO         *bool  `parquet:"do,optional" json:"do,omitempty"`
	EDE        *int32 `parquet:"ede,optional,dict" json:"ede,omitempty"`
	QuerySize  *int32 `parquet:"query_size,optional,dict" json:"query_size,omitempty"`
	ReplySize  *int32 `parquet:"reply_size,optional,dict" json:"reply_size,omitempty"` // 0: deliberately not answered
	Latency    *int64 `parquet:"latency_us,optional" json:"latency_us,omitempty"`
	From       string `parquet:"from,dict" json:"from"`
	Zone       string `parquet:"zone,optional,dict" json:"zone,omitempty"`

	// Since schema 2.
	Server       string   `parquet:"server,optional,dict" json:"server,omitempty"` // the address that was asked
	ServerPort   *int32   `parquet:"server_port,optional,dict" json:"server_port,omitempty"`
	ID           *int32   `parquet:"id,optional" json:"id,omitempty"`
	Policy       string   `parquet:"policy,optional,dict" json:"policy,omitempty"` // the operator's rule that decided the answer; "none"
	Subnet       string   `parquet:"ecs,optional,dict" json:"ecs,omitempty"`       // client subnet of the question
	Upstream     string   `parquet:"upstream,optional,dict" json:"upstream,omitempty"`
	UpstreamPort *int32   `parquet:"upstream_port,optional,dict" json:"upstream_port,omitempty"`
	UpstreamOver string   `parquet:"upstream_transport,optional,dict" json:"upstream_transport,omitempty"`
	Asked        *int32   `parquet:"asked,optional,dict" json:"asked,omitempty"`
	AskedTime    *int64   `parquet:"asked_us,optional" json:"asked_us,omitempty"`
	Answers      []string `parquet:"answers,list,optional" parquet-element:",dict" json:"answers,omitempty"` // "OWNER TYPE RDATA", see docs/formats/log.md
	AnswerTTL    *int32   `parquet:"answer_ttl,optional" json:"answer_ttl,omitempty"`                        // the smallest
	LeftOut      *int32   `parquet:"answers_left_out,optional,dict" json:"answers_left_out,omitempty"`       // records of the answer section that Answers has not
	AnswerIPs    []string `parquet:"answer_ips,list,optional" parquet-element:",dict" json:"answer_ips,omitempty"`

	// Since schema 3.
	Sample *int64 `parquet:"sample,optional,dict" json:"sample,omitempty"` // for how many questions this row stands; nil: for itself

	Segment string `parquet:"-" json:"-"` // that it was read from, relative to the log's folder; "": an append-only file
}

// Questions is for how many questions the row stands: for itself, or, of a time that was sampled, for those that were left out as well.
func (r *Row) Questions() int64 {
	if r.Sample == nil {
		return 1
	}
	return min(max(*r.Sample, 1), MaxQuestions)
}

// MaxQuestions bounds it (stops: a file put there whose numbers make a count run over).
const MaxQuestions int64 = 1 << 31

// At is the row's time.
func (r *Row) At() time.Time { return time.UnixMicro(r.Time).UTC() }
