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

	"golang.org/x/term"

	"anyu/console/account"
	"anyu/node"
)

const userUse = "user takes `add NAME`, `list` or `remove NAME`"

func runUser(args []string, std streams) int {
	f := flag.NewFlagSet("anyu user add NAME | list | remove NAME", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the node's data folder; it may be running")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) == 0 {
		return fail(std, errors.New(userUse))
	}
	users, err := account.Open(filepath.Join(*data, node.UserFile))
	if err != nil {
		return fail(std, err)
	}
	switch {
	case words[0] == "add" && len(words) == 2:
		return addUser(users, *data, words[1], std)
	case words[0] == "list" && len(words) == 1:
		return listUsers(users, std)
	case words[0] == "remove" && len(words) == 2:
		err := users.Remove(words[1])
		if errors.Is(err, account.ErrNoUser) {
			fmt.Fprintf(std.err, "anyu: %v\n", err)
			return notRight
		}
		if err != nil {
			return fail(std, err)
		}
		if err := auditAct(*data, "user remove", words[1]); err != nil {
			return fail(std, err)
		}
		fmt.Fprintf(std.out, "%s removed; sessions of this account end at once\n", words[1])
		return done
	}
	return fail(std, errors.New(userUse))
}

// addUser adds an account, or changes the password of one that exists.
func addUser(users *account.Store, data, name string, std streams) int {
	password, err := readPassword(name, std)
	if err != nil {
		return fail(std, err)
	}
	added, err := users.Set(name, password, time.Now())
	if err != nil {
		return fail(std, err)
	}
	act := "user password"
	if added {
		act = "user add"
	}
	if err := auditAct(data, act, name); err != nil {
		return fail(std, err)
	}
	if added {
		fmt.Fprintf(std.out, "%s added; the console asks for a login from now on\n", name)
	} else {
		fmt.Fprintf(std.out, "%s has a new password; earlier sessions of this account end at once\n", name)
	}
	return done
}

func listUsers(users *account.Store, std streams) int {
	list, err := users.List()
	if err != nil {
		return fail(std, err)
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "USER\tCREATED\tPASSWORD OF")
	for _, u := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", u.Name, u.Created.Local().Format(time.DateTime), u.Changed.Local().Format(time.DateTime))
	}
	return done
}

// readPassword asks twice on a terminal, without echo; from elsewhere it reads one line.
func readPassword(name string, std streams) (string, error) {
	tty, ok := std.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(std.in, 4096)).ReadString('\n')
		if err != nil && (err != io.EOF || line == "") {
			return "", errors.New("no password on the standard input: write it there as one line, or call this on a terminal")
		}
		return trimEnd(line), nil
	}
	ask := func(text string) (string, error) {
		fmt.Fprint(std.err, text)
		b, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(std.err)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return string(b), nil
	}
	first, err := ask("Password for " + name + ": ")
	if err != nil {
		return "", err
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two are not the same; nothing was changed")
	}
	return first, nil
}

func trimEnd(line string) string {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}
