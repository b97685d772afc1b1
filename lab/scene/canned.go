package scene

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// canned is a reply that the scenario wrote down, in the words that answers are printed in: RCODE and flags, then records by section.
// QNAME stands for the name asked for. It echoes ID, question and OPT.
func (w *world) canned(file string, query []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(query); err != nil {
		return nil
	}
	r := new(dns.Msg)
	r.SetReply(q)
	r.RecursionDesired = q.RecursionDesired
	if err := fillCanned(r, expand(w.file(file)), q.Question[0].Name); err != nil {
		w.fail("%s: %v", file, err)
		return nil
	}
	if opt := q.IsEdns0(); opt != nil {
		r.Extra = append(r.Extra, &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}})
	}
	r.Compress = true
	b, err := r.Pack()
	if err != nil {
		w.fail("%s: %v", file, err)
	}
	return b
}

func fillCanned(r *dns.Msg, text, qname string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if rcode, ok := dns.StringToRcode[words[0]]; ok {
			r.Rcode = rcode
			for _, f := range words[1:] {
				switch f {
				case "aa":
					r.Authoritative = true
				case "ra":
					r.RecursionAvailable = true
				case "tc":
					r.Truncated = true
				case "ad":
					r.AuthenticatedData = true
				case "noqr":
					r.Response = false
				}
			}
			continue
		}
		rr, err := cannedRecord(strings.ReplaceAll(strings.Join(words[1:], " "), "QNAME", qname))
		if err != nil || rr == nil {
			return fmt.Errorf("%q is no record: %v", line, err)
		}
		switch words[0] {
		case "AN":
			r.Answer = append(r.Answer, rr)
		case "NS":
			r.Ns = append(r.Ns, rr)
		case "AR":
			r.Extra = append(r.Extra, rr)
		default:
			return fmt.Errorf("%q: a record begins with AN, NS or AR", line)
		}
	}
	return nil
}

// cannedRecord reads a record; RDATA in the form of RFC 3597 may be wrong for its type.
func cannedRecord(text string) (dns.RR, error) {
	head, raw, ok := strings.Cut(text, ` \# `)
	words := strings.Fields(head)
	if !ok || len(words) != 4 {
		return dns.NewRR(text)
	}
	ttl, err := strconv.Atoi(words[1])
	_, data, _ := strings.Cut(raw, " ")
	return &dns.RFC3597{Hdr: dns.RR_Header{Name: words[0], Ttl: uint32(ttl), Class: dns.StringToClass[words[2]], Rrtype: typeOf(words[3])}, Rdata: data}, err
}
