package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"filippo.io/age"
	"golang.org/x/term"

	"anyu/node"
	"anyu/watch/pseudonym"
)

const pseudonymUse = "pseudonym takes `holder FILE`, `list`, `show PSEUDONYM... --holder FILE --holder FILE`, or `destroy KEY --reason TEXT`"

// holders are the files of --holder.
type holders []string

func (h *holders) String() string        { return fmt.Sprint(*h) }
func (h *holders) Set(path string) error { *h = append(*h, path); return nil }

// runPseudonym is about the keys of the clients' pseudonyms in the query log.
func runPseudonym(args []string, std streams) int {
	f := flag.NewFlagSet("anyu pseudonym holder FILE | list | show PSEUDONYM... | destroy KEY", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the node's data folder; it may be running")
	reason := f.String("reason", "", "why: `TEXT` for the ledger")
	asJSON := f.Bool("json", false, "list: one JSON object a line")
	var who holders
	f.Var(&who, "holder", "key pair `FILE` of a person; show needs one of each group")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	dir := filepath.Join(*data, node.PseudonymDir)
	switch {
	case len(words) == 2 && words[0] == "holder":
		return newHolder(words[1], std)
	case len(words) == 1 && words[0] == "list":
		return listKeys(dir, *asJSON, std)
	case len(words) >= 2 && words[0] == "show":
		return showPseudonyms(*data, words[1:], who, *reason, std)
	case len(words) == 2 && words[0] == "destroy":
		return destroyKey(*data, words[1], *reason, std)
	}
	return fail(std, errors.New(pseudonymUse))
}

func newHolder(path string, std streams) int {
	passphrase, err := readPassword(path, std)
	if err != nil {
		return fail(std, err)
	}
	public, err := pseudonym.NewHolder(path, passphrase)
	if err != nil {
		return fail(std, err)
	}
	fmt.Fprintf(std.out, "%s\n", public)
	fmt.Fprintf(std.err, "%s holds the secret half, encrypted. Put the line above into log.clients.pseudonyms.first or .second; keep file and passphrase apart from the node.\n", path)
	return done
}

func listKeys(dir string, asJSON bool, std streams) int {
	list, err := pseudonym.List(dir)
	if err != nil {
		fmt.Fprintf(std.err, "anyu: %v\n", err)
	}
	status := done
	if err != nil {
		status = notRight
	}
	if asJSON {
		for _, s := range list {
			s.Halves = [2]string{}
			writeJSON(std.out, s)
		}
		return status
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "KEY\tFROM\tNODE\tFIRST GROUP\tSECOND GROUP")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", s.ID, s.Begin.Local().Format(time.DateTime), s.Node, len(s.Holders[0]), len(s.Holders[1]))
	}
	return status
}

// showPseudonyms prints the addresses behind pseudonyms. It is an act of the ledger before it is done.
func showPseudonyms(data string, texts []string, who holders, reason string, std streams) int {
	for _, text := range texts {
		if _, _, ok := pseudonym.Parse(text); !ok {
			return fail(std, fmt.Errorf("%s is no pseudonym as anyu trace shows them", text))
		}
	}
	keys, err := openKeys(data, who, std)
	if err != nil {
		return fail(std, err)
	}
	if err := auditAct(data, "pseudonyms shown: "+reason, fmt.Sprint(texts)); err != nil {
		return fail(std, err)
	}
	status := done
	for _, text := range texts {
		shown := "no key: it was destroyed, or is of another node"
		for _, k := range keys {
			if a, ok := k.Show(text); ok {
				shown = a.String()
			}
		}
		if shown[0] == 'n' {
			status = notRight
		}
		fmt.Fprintf(std.out, "%s  %s\n", text, shown)
	}
	return status
}

func destroyKey(data, id, reason string, std streams) int {
	if reason == "" {
		return fail(std, errors.New("--reason is needed: the ledger says for ever why the clients behind a key cannot be shown any more"))
	}
	if err := auditAct(data, "pseudonym key destroyed: "+reason, id); err != nil {
		return fail(std, err)
	}
	if err := pseudonym.Destroy(filepath.Join(data, node.PseudonymDir), id); err != nil {
		return fail(std, err)
	}
	fmt.Fprintf(std.out, "%s is destroyed: nobody can show the clients of its pseudonyms any more. A running node that uses it goes on until its next start or period; copies in backups are yours to destroy.\n", id)
	return done
}

// openKeys opens all keys of a data folder with the key pairs of two people.
func openKeys(data string, who holders, std streams) (keys []*pseudonym.Key, err error) {
	if len(who) < 2 {
		return nil, errors.New("two people are needed: --holder FILE of each, one of the first group and one of the second")
	}
	in := bufio.NewReader(io.LimitReader(std.in, 8192))
	var identities []age.Identity
	for _, path := range who {
		passphrase, err := askPassphrase(path, in, std)
		if err != nil {
			return nil, err
		}
		id, err := pseudonym.OpenHolder(path, passphrase)
		if err != nil {
			return nil, err
		}
		identities = append(identities, id)
	}
	sealed, err := pseudonym.List(filepath.Join(data, node.PseudonymDir))
	if err != nil {
		fmt.Fprintf(std.err, "anyu: %v\n", err)
	}
	for _, s := range sealed {
		k, err := s.Open(identities...)
		if err != nil {
			fmt.Fprintf(std.err, "anyu: %v\n", err)
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of the %d keys in %s opens: %w", len(sealed), filepath.Join(data, node.PseudonymDir), pseudonym.ErrHolders)
	}
	return keys, nil
}

// askPassphrase asks on a terminal, without echo; from elsewhere it reads a line for each person.
func askPassphrase(path string, in *bufio.Reader, std streams) (string, error) {
	if tty, ok := std.in.(*os.File); ok && term.IsTerminal(int(tty.Fd())) {
		fmt.Fprintf(std.err, "Passphrase of %s: ", path)
		b, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(std.err)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		return string(b), nil
	}
	line, err := in.ReadString('\n')
	if err != nil && (err != io.EOF || line == "") {
		return "", fmt.Errorf("no passphrase of %s on the standard input: write one line for each --holder there, or call this on a terminal", path)
	}
	return trimEnd(line), nil
}
