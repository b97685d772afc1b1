package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"anyu/node"
	"anyu/watch/ledger"
)

const ledgerUse = "ledger takes verify, checkpoint, list, prove ENTRY|SEGMENT..., check FILE, witness --dir DIR --log KEY, or erase --client PREFIX --reason TEXT"

func runLedger(args []string, std streams) int {
	if len(args) == 0 {
		return fail(std, errors.New(ledgerUse))
	}
	switch args[0] {
	case "verify":
		return verifyLedger(args[1:], std)
	case "checkpoint":
		return printCheckpoint(args[1:], std)
	case "list":
		return listLedger(args[1:], std)
	case "prove":
		return proveEntries(args[1:], std)
	case "check":
		return checkProofs(args[1:], std)
	case "witness":
		return serveWitness(args[1:], std)
	case "erase":
		return eraseClient(args[1:], std)
	}
	return fail(std, fmt.Errorf("ledger has no command %q: %s", args[0], ledgerUse))
}

func ledgerOf(data string) string { return filepath.Join(data, node.LedgerDir) }

// verifyLedger compares the data folder with its ledger. Exit status 1: something is wrong.
func verifyLedger(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger verify", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder; its node may be running")
	checkpoint := f.String("checkpoint", "", "`FILE` with a checkpoint that was kept elsewhere, or a mail of ledger.mail as it was saved; only that shows a whole folder put back or made anew")
	key := f.String("key", "", "the ledger's public `KEY` or a file with it, kept elsewhere (default: the one in the folder)")
	quick := f.Bool("quick", false, "compare sizes, do not read the segments")
	asJSON := f.Bool("json", false, "print JSON")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 {
		return fail(std, fmt.Errorf("ledger verify takes flags only, not %q", words[0]))
	}
	v := ledger.Verification{Data: *data, Log: node.LogDir, Quick: *quick, Now: time.Now()}
	var err error
	if *checkpoint != "" {
		if v.Checkpoint, err = os.ReadFile(*checkpoint); err != nil {
			return fail(std, err)
		}
		v.Checkpoint = ledger.Mailed(v.Checkpoint)
	}
	if v.Key, err = readKey(*key); err != nil {
		return fail(std, err)
	}
	next := time.Now().Add(time.Second)
	v.Progress = func(done, all int, octets int64) {
		if time.Now().After(next) {
			next = time.Now().Add(time.Second)
			fmt.Fprintf(std.err, "%d of %d segments, %d MB\n", done, all, octets/1e6)
		}
	}
	r, err := ledger.Verify(v)
	if err != nil {
		return fail(std, fmt.Errorf("%w (is %s the data folder? name it with --data)", err, *data))
	}
	if *asJSON {
		out := json.NewEncoder(std.out)
		out.SetIndent("", "  ")
		out.Encode(r)
	} else {
		showVerified(std.out, r)
	}
	if len(r.Problems) > 0 {
		return notRight
	}
	return done
}

func showVerified(w io.Writer, r *ledger.Result) {
	for _, p := range r.Problems {
		place := p.Subject
		if p.Entry != nil {
			place = strings.TrimSpace(fmt.Sprintf("entry %d %s", *p.Entry, p.Subject))
		}
		if place == "" {
			place = "ledger"
		}
		fmt.Fprintf(w, "%s  %s: %s\n", p.What, place, p.Text)
	}
	how := "and their octets"
	if !r.Read {
		how = "by their sizes only (without --quick they are read)"
	}
	fmt.Fprintf(w, "%d entries, last signed %s with %s\n%d segments, %d octets, compared %s\n", r.Entries, moment(r.Signed), r.Key, r.Segments, r.Octets, how)
	if r.Late+r.Erased > 0 {
		fmt.Fprintf(w, "%d segments were closed late, as the node said itself; from %d personal data was erased\n", r.Late, r.Erased)
	}
	if !r.Compared {
		fmt.Fprintln(w, "not compared with a checkpoint kept elsewhere: a whole folder that was put back or made anew would not be seen (--checkpoint FILE)")
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "holds")
	} else {
		fmt.Fprintf(w, "does not hold: %d problems\n", len(r.Problems))
	}
}

// readKey takes a key as it is, or from a file.
func readKey(text string) (string, error) {
	if text == "" || strings.Count(text, "+") >= 2 && !strings.ContainsAny(text, "\n") {
		return text, nil
	}
	b, err := os.ReadFile(text)
	if err != nil {
		return "", fmt.Errorf("--key is neither a key (NAME+HASH+KEY) nor a file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func printCheckpoint(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger checkpoint", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder")
	witnessed := f.Bool("witnessed", false, "the last one that the witnesses of ledger.witnesses have co-signed, with their signatures")
	if _, status, ok := parse(f, args, std); !ok {
		return status
	}
	text, err := ledger.Head(ledgerOf(*data))
	if *witnessed {
		text, err = node.Witnessed(*data)
	}
	if err != nil {
		return fail(std, err)
	}
	std.out.Write(text)
	return done
}

func listLedger(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger list", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder")
	kind := f.String("kind", "", "only this `KIND`: segment, removed, erased, audit, trace, finding, rule, loss")
	since := f.Duration("since", 0, "only the last `TIME`, for example 24h (default: all)")
	asJSON := f.Bool("json", false, "one JSON object a line, as it is in the ledger")
	if _, status, ok := parse(f, args, std); !ok {
		return status
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	out := json.NewEncoder(std.out)
	err := ledger.Each(ledgerOf(*data), func(e ledger.Entry) bool {
		switch {
		case *kind != "" && string(e.Kind) != *kind, *since > 0 && time.Since(e.Time) > *since:
		case *asJSON:
			out.Encode(e)
		default:
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.N, moment(e.Time), e.Kind, e.Subject, e.Who, strings.TrimSpace(e.Why+" "+factText(e.Facts)))
		}
		return true
	})
	w.Flush()
	if err != nil {
		return fail(std, err)
	}
	return done
}

func factText(facts []ledger.Fact) string {
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "%s=%q ", f.Name, f.Value)
	}
	return strings.TrimSpace(b.String())
}

// proveEntries writes proofs that can be checked without the data folder.
func proveEntries(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger prove ENTRY|SEGMENT...", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) == 0 {
		return fail(std, errors.New("name entries by number, or segments by their path in the data folder"))
	}
	if _, err := ledger.Head(ledgerOf(*data)); err != nil { // opening would begin one
		return fail(std, fmt.Errorf("%w (is %s the data folder? name it with --data)", err, *data))
	}
	l, err := ledger.Open(ledgerOf(*data), "")
	if err != nil {
		return fail(std, err)
	}
	defer l.Close()
	known, err := l.Segments()
	if err != nil {
		return fail(std, err)
	}
	var numbers []int64
	for _, word := range words {
		var n int64
		if e, is := known[filepath.ToSlash(word)]; is {
			n = e.N
		} else if _, err := fmt.Sscanf(word, "%d", &n); err != nil {
			return fail(std, fmt.Errorf("the ledger has no segment %s: name it as `anyu ledger list --kind segment` does, or an entry by its number", word))
		}
		numbers = append(numbers, n)
	}
	proofs, err := l.Prove(numbers...)
	if err != nil {
		return fail(std, err)
	}
	out := json.NewEncoder(std.out)
	out.SetIndent("", "  ")
	out.Encode(proofs)
	return done
}

// checkProofs checks proofs, and the files that they are about where these are given.
func checkProofs(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger check FILE", flag.ContinueOnError)
	key := f.String("key", "", "the ledger's public `KEY` or a file with it, from somebody you trust (default: the one in the proof, which shows less)")
	folder := f.String("files", "", "`DIR` with the segments, by their names: compare them, too")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 1 {
		return fail(std, errors.New("name the file with the proofs, or - for the standard input"))
	}
	in := std.in
	if words[0] != "-" {
		file, err := os.Open(words[0])
		if err != nil {
			return fail(std, err)
		}
		defer file.Close()
		in = file
	}
	proofs, err := ledger.ReadProofs(in)
	if err != nil {
		return fail(std, err)
	}
	trusted, err := readKey(*key)
	if err != nil {
		return fail(std, err)
	}
	wrong, absent := 0, 0
	for i := range proofs {
		switch err := checkProof(&proofs[i], trusted, *folder, std.out); {
		case errors.Is(err, errAbsent):
			absent++
		case err != nil:
			wrong++
			fmt.Fprintf(std.out, "entry %d: %v\n", proofs[i].N, err)
		}
	}
	if trusted == "" {
		fmt.Fprintln(std.out, "the key was taken from the proofs themselves: compare it with one you have from elsewhere (--key)")
	}
	if wrong > 0 || len(proofs) == 0 {
		fmt.Fprintf(std.out, "%d of %d proofs do not hold\n", wrong, len(proofs))
		return notRight
	}
	fmt.Fprintf(std.out, "%d proofs hold", len(proofs))
	if absent > 0 {
		fmt.Fprintf(std.out, "; %d of their files are not in %s and were not compared", absent, *folder)
	}
	fmt.Fprintln(std.out)
	return done
}

// errAbsent says that a file is not there to be compared: an evidence package has rows and proofs, and its segments stay with the operator.
var errAbsent = errors.New("the file is not there")

func checkProof(p *ledger.Proof, key, folder string, w io.Writer) error {
	if key == "" {
		key = p.Key
	}
	e, head, err := p.Check(key)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "entry %d of %s: %s %s, in the tree of %d entries signed %s\n", e.N, moment(e.Time), e.Kind, e.Subject, head.Size, moment(head.Time))
	if folder == "" || e.SHA256 == "" {
		return nil
	}
	file := filepath.Join(folder, filepath.FromSlash(e.Subject)) // DIR may be a data folder, or hold the files alone
	if _, err := os.Stat(file); err != nil || !filepath.IsLocal(filepath.FromSlash(e.Subject)) {
		file = filepath.Join(folder, filepath.Base(e.Subject))
	}
	sum, _, err := ledger.SumFile(file)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(w, "entry %d: %s is not in %s: not compared\n", e.N, filepath.Base(e.Subject), folder)
		return errAbsent
	}
	if err != nil {
		return err
	}
	if sum != e.SHA256 {
		return fmt.Errorf("the file %s is not the one of the entry", filepath.Base(e.Subject))
	}
	return nil
}

// auditAct keeps what a command did to a data folder beside its node.
func auditAct(data, act, subject string) error {
	l, err := ledger.Open(ledgerOf(data), hostName())
	if err != nil {
		return fmt.Errorf("it is done, but not in the ledger: %w", err)
	}
	defer l.Close()
	return l.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: act, Who: whoAmI(), Facts: []ledger.Fact{{Name: "account", Value: subject}, {Name: "by", Value: "anyu " + act}}})
}
