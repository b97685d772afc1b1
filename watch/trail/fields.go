package trail

import (
	"anyu/watch/trail/column"
)

// field is where a column's values go in a Row; one of its functions is set.
type field struct {
	name   string
	text   func(*Row) *string
	number func(*Row) **int32
	long   func(*Row) **int64
	list   func(*Row) *[]string
	flag   func(*Row) **bool
	plain  func(*Row) *int64
}

// fields are the columns of Row.
var fields = [...]field{
	{name: timeColumn, plain: func(r *Row) *int64 { return &r.Time }},
	{name: "node", text: func(r *Row) *string { return &r.Node }},
	{name: "source", text: func(r *Row) *string { return &r.Source }},
	{name: clientColumn, text: func(r *Row) *string { return &r.Client }},
	{name: "client_port", number: func(r *Row) **int32 { return &r.ClientPort }},
	{name: "transport", text: func(r *Row) *string { return &r.Transport }},
	{name: nameColumn, text: func(r *Row) *string { return &r.Name }},
	{name: "qname_asked", text: func(r *Row) *string { return &r.NameAsked }},
	{name: "qtype", text: func(r *Row) *string { return &r.Type }},
	{name: "qclass", text: func(r *Row) *string { return &r.Class }},
	{name: "rcode", text: func(r *Row) *string { return &r.Rcode }},
	{name: "query_flags", number: func(r *Row) **int32 { return &r.QueryFlags }},
	{name: "flags", number: func(r *Row) **int32 { return &r.Flags }},
	{name: "edns_payload", number: func(r *Row) **int32 { return &r.Payload }},
	{name: "do", flag: func(r *Row) **bool { return &r.DO }},
	{name: "ede", number: func(r *Row) **int32 { return &r.EDE }},
	{name: "query_size", number: func(r *Row) **int32 { return &r.QuerySize }},
	{name: "reply_size", number: func(r *Row) **int32 { return &r.ReplySize }},
	{name: "latency_us", long: func(r *Row) **int64 { return &r.Latency }},
	{name: "from", text: func(r *Row) *string { return &r.From }},
	{name: "zone", text: func(r *Row) *string { return &r.Zone }},
	{name: "server", text: func(r *Row) *string { return &r.Server }},
	{name: "server_port", number: func(r *Row) **int32 { return &r.ServerPort }},
	{name: "id", number: func(r *Row) **int32 { return &r.ID }},
	{name: "policy", text: func(r *Row) *string { return &r.Policy }},
	{name: "ecs", text: func(r *Row) *string { return &r.Subnet }},
	{name: "upstream", text: func(r *Row) *string { return &r.Upstream }},
	{name: "upstream_port", number: func(r *Row) **int32 { return &r.UpstreamPort }},
	{name: "upstream_transport", text: func(r *Row) *string { return &r.UpstreamOver }},
	{name: "asked", number: func(r *Row) **int32 { return &r.Asked }},
	{name: "asked_us", long: func(r *Row) **int64 { return &r.AskedTime }},
	{name: "answers", list: func(r *Row) *[]string { return &r.Answers }},
	{name: "answer_ttl", number: func(r *Row) **int32 { return &r.AnswerTTL }},
	{name: "answers_left_out", number: func(r *Row) **int32 { return &r.LeftOut }},
	{name: answerColumn, list: func(r *Row) *[]string { return &r.AnswerIPs }},
	{name: sampleColumn, long: func(r *Row) **int64 { return &r.Sample }},
}

// path is where the column's values are in a segment.
func (f *field) path() string {
	if f.list != nil {
		return f.name + ".list.element"
	}
	return f.name
}

// kind is how the column's values are stored.
func (f *field) kind() column.Type {
	switch {
	case f.number != nil:
		return column.Int32
	case f.long != nil, f.plain != nil:
		return column.Int64
	case f.flag != nil:
		return column.Bool
	}
	return column.Text
}

func fieldOf(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

// filler sets a field of rows from the values of its column. It remembers texts, for the same ones come again, and makes room for numbers at once.
type filler struct {
	field   *field
	rows    int
	entries map[int32]string // of the dictionary
	texts   map[string]string
	numbers []int32
	longs   []int64
}

func newFiller(f *field, rows int) *filler { return &filler{field: f, rows: rows} }

// set takes one value that is not null.
func (f *filler) set(r *Row, v column.Value) {
	switch c := f.field; {
	case c.text != nil:
		*c.text(r) = f.string(v)
	case c.number != nil:
		if f.numbers == nil {
			f.numbers = make([]int32, 0, f.rows)
		}
		f.numbers = append(f.numbers, int32(v.Number))
		*c.number(r) = &f.numbers[len(f.numbers)-1]
	case c.long != nil:
		if f.longs == nil {
			f.longs = make([]int64, 0, f.rows)
		}
		f.longs = append(f.longs, v.Number)
		*c.long(r) = &f.longs[len(f.longs)-1]
	case c.list != nil:
		list := c.list(r)
		*list = append(*list, f.string(v))
	case c.flag != nil:
		b := v.Number != 0
		*c.flag(r) = &b
	default:
		*c.plain(r) = v.Number
	}
}

// all gives all rows one value.
func (f *filler) all(rows []Row, v column.Value) {
	text := string(v.Text)
	for i := range rows {
		if f.field.text != nil {
			*f.field.text(&rows[i]) = text
		} else {
			f.set(&rows[i], v)
		}
	}
}

func (f *filler) string(v column.Value) string {
	if v.Entry >= 0 {
		text, ok := f.entries[v.Entry]
		if !ok {
			text = string(v.Text)
			if f.entries == nil {
				f.entries = map[int32]string{}
			}
			f.entries[v.Entry] = text
		}
		return text
	}
	if text, ok := f.texts[string(v.Text)]; ok {
		return text
	}
	if f.texts == nil || len(f.texts) >= maxTexts {
		f.texts = map[string]string{}
	}
	text := string(v.Text)
	f.texts[text] = text
	return text
}
