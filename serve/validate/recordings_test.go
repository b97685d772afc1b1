package validate_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/house/corpora"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

var update = flag.Bool("update", false, "write testdata/recordings.tsv anew")

// The keys of the root in 2013 to 2015, and in 2020.
var rootAnchors = []string{
	". IN DS 19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5",
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
}

var questionLine = regexp.MustCompile(`^;;\s+(\S+), type = (\S+), class = IN`)

// recording is a file of dnsjava's: the replies of one real validation.
type recording struct {
	date    time.Time
	replies []*validate.Response
}

func readRecording(t *testing.T, file string) recording {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "\r", "")
	var rec recording
	first, rest, _ := strings.Cut(text, "\n")
	if rec.date, err = time.Parse("#Date: 2006-01-02T15:04:05-07:00", first); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, part := range strings.Split(rest, "###############################################") {
		if r := readReply(t, part); r != nil {
			rec.replies = append(rec.replies, r)
		}
	}
	return rec
}

func readReply(t *testing.T, part string) *validate.Response {
	t.Helper()
	var qname, qtype string
	rcode, section := 0, -1
	var sections [3][]dns.RR
	for line := range strings.Lines(part) {
		line = strings.TrimSpace(line)
		if m := questionLine.FindStringSubmatch(line); m != nil {
			qname, qtype = m[1], m[2]
			continue
		}
		switch {
		case strings.HasPrefix(line, ";; ->>HEADER<<-"):
			_, status, _ := strings.Cut(line, "status: ")
			status, _, _ = strings.Cut(status, ",")
			rcode = dns.StringToRcode[status]
		case strings.HasPrefix(line, ";; ANSWERS"):
			section = 0
		case strings.HasPrefix(line, ";; AUTHORITY"):
			section = 1
		case strings.HasPrefix(line, ";; ADDITIONAL"):
			section = 2
		case line == "" || line[0] == ';' || slices.Contains(strings.Fields(line), "OPT") || section < 0:
		default:
			sections[section] = append(sections[section], parseRR(t, line))
		}
	}
	if qname == "" {
		return nil
	}
	typ, _ := wire.ParseType(qtype)
	return response(t, qname, typ, rcode, sections[:]...)
}

// The recorded validations of dnsjava's tests, as they were received, give at their own dates what the table says: verdict, reason and
// proof of each answer, link by link. What the table says was judged by hand when it was written. Algorithms 5 and 7 are allowed, most of
// these zones have them.
func TestRecordings_asTheTableSays(t *testing.T) {
	dir := corpora.Path(t, "wire", "dnsjava-recordings")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out strings.Builder
	out.WriteString("file\tquestion\trcode\tverdict\treason\tproof\n")
	for _, file := range files {
		rec := readRecording(t, file)
		name := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "org_xbill_DNS_dnssec_") + "/" + filepath.Base(file)
		var w world
		for _, r := range rec.replies {
			if w.answers[strings.ToLower(r.Question.String())] == nil {
				w.add(r)
			}
		}
		v := validate.New(validate.Config{Anchors: anchors(t, rootAnchors...), AllowSHA1: true})
		for i, r := range rec.replies {
			if i > 0 && (r.Question.Type == wire.TypeDS || r.Question.Type == wire.TypeDNSKEY) {
				continue
			}
			for _, link := range links(t, r) {
				res := v.Message(nanos(rec.date), link, &w, validate.DefaultLimits().Budget())
				fmt.Fprintf(&out, "%s\t%v\t%v\t%v\t%s\t%s\n", name, link.Question, link.Rcode, res.Security, reasonText(res.Reason), proofText(res))
			}
		}
	}
	const table = "testdata/recordings.tsv"
	if *update {
		if err := os.WriteFile(table, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	compareLines(t, string(want), out.String())
}

// links follows the aliases of a message: each link is a question of its own.
func links(t *testing.T, r *validate.Response) (list []*validate.Response) {
	t.Helper()
	for range 12 {
		list = append(list, r)
		cname := message.Find(r.Answer, r.Question.Name, wire.TypeCNAME)
		if cname == nil || r.Question.Type == wire.TypeCNAME || r.Question.Type == wire.TypeANY {
			return list
		}
		next := *r
		next.Question.Name = message.Target(cname.Data[0])
		r = &next
	}
	return list
}

func reasonText(reason uint16) string {
	if reason == validate.NoReason {
		return "-"
	}
	return fmt.Sprint(reason)
}

// proofText is the explanation, or for what is secure its RRsets.
func proofText(res validate.Result) string {
	if res.Text != "" {
		return res.Text
	}
	var parts []string
	for _, list := range [][]validate.Checked{res.Answer, res.Authority} {
		for _, ch := range list {
			text := fmt.Sprintf("%v %v", ch.Set.Name, ch.Set.Type)
			if ch.Wildcard != nil {
				text += fmt.Sprintf(" from %v", ch.Wildcard)
			}
			if ch.Security != dnssec.Secure {
				text += " " + ch.Security.String()
			}
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

func compareLines(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Errorf("line %d\n got %s\nwant %s", i+1, b, a)
		}
	}
}
