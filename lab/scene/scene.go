// Package scene runs anyu's own scenarios: text archives that hold steps and what came of them first, zone files after. A scenario drives
// the rooms that `anyu serve` runs from the octets of a client's message to those of the reply, with a simulated network and clock.
//
//	scenario NAME                          begins a fresh world; the steps before the first one are done again for each
//	config WORD...                         settings that differ from the usual ones (config.go); later ones are a reload
//	server ADDRESS ZONE FILE [WORD...]     a server of a zone, and its habits: how it signs (sign.go), what it does wrong (network.go); anchor: trusted as it is
//	lie ADDRESS NAME TYPE WORD...          a habit for one question; * is any
//	zone NAME FILE [allow=PREFIX]          a zone of our own, and who may ask for it; held NAME FILE: one that only resolving sees, as the local root
//	forward NAME ADDRESS; stub NAME ADDRESS
//	local RECORD; rule NAME ANSWER [WORD...] [RECORD / RECORD...]   what the operator wants answered here (local.go); unlocal ends it
//	query NAME TYPE [+OPTION...]           a client asks, and all that follows happens (client.go)
//	octets HEX                             a client at 127.0.0.1 sends what need not be a message
//	post NAME TYPE [+OPTION...]            a client asks; nobody waits
//	flood N NAME TYPE [+OPTION...]         N clients' questions at one moment, {n} in the name is the number
//	wait DURATION                          time passes
//	mirror ADDRESS                         the local root is fetched from a server of the root, whole (mirror.go)
//	flush NAME; nta NAME DURATION; restart (the cache is saved and restored); health (the questions of serve/health)
//	----
//	RCODE flags                            the answer: then one line a record: AN, NS or AR as dig prints it, signatures cut short
//	sent ADDRESS [tcp] NAME TYPE           what was asked of servers; count sent ADDRESS N where it was much
//	event FROM RCODE LATENCY [reason=N] [policy=NAME] [upstream=ADDRESS/TRANSPORT] [asked=N/TIME] [subnet=PREFIX]
//	                                       the observation
//	finding KIND opened|closed FACT=...    what detectors conclude
//
// It promises: the same file gives the same lines. With Update, Run writes down what came; a person judges that.
// It refuses sockets and the real clock. Limits today: one engine; no streams with TLS, HTTPS or QUIC towards servers.
package scene

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// Options of a run.
type Options struct {
	// File reads a zone file that is not in the archive.
	File func(name string) ([]byte, error)
}

// Mismatch is a step of which something else came than the file says.
type Mismatch struct {
	Scenario, Step string
	Line           int
	Got, Want      string
}

func (m Mismatch) String() string {
	return fmt.Sprintf("line %d, scenario %s: %s\ngot:\n%swant:\n%s", m.Line, m.Scenario, m.Step, m.Got, m.Want)
}

// Run runs the scenarios of a text archive. updated is the archive with what came written down.
func Run(archive []byte, opts Options) (updated []byte, mismatches []Mismatch, err error) {
	a := txtar.Parse(archive)
	r := &runner{archive: a, opts: opts}
	r.begin("")
	var out bytes.Buffer
	lines := strings.Split(string(a.Comment), "\n")
	for i := 0; i < len(lines); i++ {
		fmt.Fprintln(&out, lines[i])
		words := strings.Fields(lines[i])
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		at := i + 1
		got := r.step(words)
		if r.world.failed != nil {
			return nil, nil, fmt.Errorf("line %d: %s: %w", at, strings.Join(words, " "), r.world.failed)
		}
		var want strings.Builder
		if i+1 < len(lines) && lines[i+1] == "----" {
			for i += 2; i < len(lines) && lines[i] != "" && !isStep(lines[i]); i++ {
				fmt.Fprintln(&want, lines[i])
			}
			i--
		}
		if got != want.String() {
			mismatches = append(mismatches, Mismatch{r.name, strings.Join(words, " "), at, got, want.String()})
		}
		if got != "" {
			fmt.Fprintf(&out, "----\n%s", got)
		}
	}
	a.Comment = append(bytes.TrimRight(out.Bytes(), "\n"), '\n')
	if len(a.Files) > 0 && !bytes.HasSuffix(archive, []byte("\n\n")) {
		a.Comment = append(a.Comment, '\n')
	}
	return txtar.Format(a), mismatches, nil
}

var stepWord = regexp.MustCompile(`^(scenario|client|config|server|lie|zone|held|forward|stub|local|rule|unlocal|query|octets|post|flood|wait|flush|nta|restart|health|mirror)( |$)`)

func isStep(line string) bool { return strings.HasPrefix(line, "#") || stepWord.MatchString(line) }

// Names lists the scenarios of an archive; one that names none is one scenario without a name.
func Names(archive []byte) (names []string) {
	for line := range strings.Lines(string(txtar.Parse(archive).Comment)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "scenario" {
			names = append(names, words[1])
		}
	}
	return names
}

// runner goes through a file.
type runner struct {
	archive  *txtar.Archive
	opts     Options
	name     string
	preamble [][]string
	world    *world
}

// begin makes a fresh world.
func (r *runner) begin(name string) {
	r.name = name
	r.world = newWorld(r.file)
	for _, words := range r.preamble {
		r.world.step(words)
	}
}

func (r *runner) file(name string) (string, error) {
	i := slices.IndexFunc(r.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i >= 0 {
		return string(r.archive.Files[i].Data), nil
	}
	if r.opts.File == nil {
		return "", fmt.Errorf("the archive has no file %s", name)
	}
	b, err := r.opts.File(name)
	return string(b), err
}

func (r *runner) step(words []string) string {
	if words[0] == "scenario" && len(words) == 2 {
		r.begin(words[1])
		return ""
	}
	if line := strings.Join(words, " "); (words[0] == "server" || words[0] == "lie") && series.MatchString(line) {
		for one := range strings.Lines(expand(line + "\n")) {
			r.step(strings.Fields(one))
		}
		return ""
	}
	if r.name == "" {
		r.preamble = append(r.preamble, words)
	}
	return r.world.step(words)
}
