package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"anyu/node"
	"anyu/watch/ledger"
)

func runBackup(args []string, std streams) int {
	f := flag.NewFlagSet("anyu backup DIR", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder")
	return copyData(f, data, args, std, func(dir string, tell func(string, int64)) (int, int64, error) {
		files, size, err := node.Backup(*data, dir, tell)
		if err != nil {
			return files, size, err
		}
		return files, size, auditCopy(*data, dir, ledger.ActBackup, "to", files, size)
	})
}

func runRestore(args []string, std streams) int {
	f := flag.NewFlagSet("anyu restore DIR", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the data folder to restore into")
	return copyData(f, data, args, std, func(dir string, tell func(string, int64)) (int, int64, error) {
		files, size, err := node.Restore(dir, *data, tell)
		if err != nil {
			return files, size, err
		}
		return files, size, auditCopy(*data, dir, ledger.ActRestore, "from", files, size)
	})
}

// copyData runs a backup or a restore and tells what it does once it has taken a while.
func copyData(f *flag.FlagSet, data *string, args []string, std streams, do func(string, func(string, int64)) (int, int64, error)) int {
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 1 {
		return fail(std, errors.New("name one folder: the backup's"))
	}
	next := time.Now().Add(time.Second)
	total := int64(0)
	files, size, err := do(words[0], func(name string, n int64) {
		if total += n; time.Now().After(next) {
			next = time.Now().Add(time.Second)
			fmt.Fprintf(std.err, "%d MB copied, now %s\n", total/1e6, name)
		}
	})
	if err != nil {
		return fail(std, err)
	}
	fmt.Fprintf(std.out, "%d files, %d octets: %s and %s hold the same state\n", files, size, *data, words[0])
	return done
}

// auditCopy keeps in the ledger of a data folder that there is a copy, so that people see when the last one was made, or that it was put back from one: what
// happened between is not in it.
func auditCopy(data, dir, act, way string, files int, size int64) error {
	l, err := ledger.Open(ledgerOf(data), hostName())
	if err != nil {
		return fmt.Errorf("the copy is whole, but the %s is not in the ledger: %w", act, err)
	}
	defer l.Close()
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	return l.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: act, Who: whoAmI(),
		Facts: []ledger.Fact{{Name: way, Value: dir}, {Name: "files", Value: strconv.Itoa(files)}, {Name: "octets", Value: strconv.FormatInt(size, 10)}, {Name: "by", Value: "anyu " + act}}})
}
