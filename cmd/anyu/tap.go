package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"anyu/watch/tap"
)

// tapping is one run of `anyu tap`; docs/formats/tap.md describes what it says.
type tapping struct {
	file, out, to string
	json, quiet   bool
	ports         []uint16

	screen *bufio.Writer
	errors io.Writer
	told   int // complaints printed
}

// maxComplaints bounds the complaints that are printed one by one; all are counted.
const maxComplaints = 20

func runTap(args []string, std streams) int {
	t := tapping{screen: bufio.NewWriterSize(std.out, 64<<10), errors: std.err}
	f := flag.NewFlagSet("anyu tap [flags] FILE|-", flag.ContinueOnError)
	var ports string
	f.BoolVar(&t.json, "json", false, "print a JSON object a line, the summary last")
	f.BoolVar(&t.quiet, "quiet", false, "print the summary only")
	f.StringVar(&t.to, "to", "", "convert to `FORMAT`: dnstap or pcap; needs --out")
	f.StringVar(&t.out, "out", "", "`FILE` to convert into; it must not exist")
	f.StringVar(&ports, "ports", "53,5353,5355", "`LIST` of the ports that speak DNS, in captures")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	var err error
	switch {
	case len(words) != 1:
		err = errors.New("tap takes one FILE, or - for standard input")
	case (t.to == "") != (t.out == ""):
		err = errors.New("--to and --out belong together")
	default:
		t.file = words[0]
		t.ports, err = parsePorts(ports)
	}
	if err != nil {
		return fail(std, err)
	}
	in := std.in
	if t.file != "-" {
		file, err := os.Open(t.file)
		if err != nil {
			return fail(std, err)
		}
		defer file.Close()
		in = file
	}
	return t.run(in, std)
}

func parsePorts(list string) (ports []uint16, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("--ports %s: write port numbers with commas between them, for example 53,5353", list)
		}
		ports = append(ports, uint16(n))
	}
	return ports, nil
}

// run reads the whole input. What cannot be read is told, and the rest is read: 0 all was right, 1 something in it was not, 2 it is no such file.
func (t *tapping) run(in io.Reader, std streams) int {
	var convert *converter
	table := tap.NewTable(func(x *tap.Transaction) {
		t.show(x)
		if convert.pairs != nil {
			convert.pairs(x)
		}
	})
	reader := &tap.Reader{Table: table, Ports: t.ports, Complain: t.complain}
	var err error
	convert, err = t.converter(reader)
	if err != nil {
		return fail(std, err)
	}
	failure := reader.Read(in)
	table.Close()
	if err := convert.close(); err != nil {
		return fail(std, err)
	}
	s := summarize(t.file, reader, failure)
	s.Converted, s.NotConverted = convert.written, convert.refused
	t.finish(s)
	if err := t.screen.Flush(); err != nil {
		return fail(std, err)
	}
	switch {
	case failure != nil:
		fmt.Fprintf(std.err, "anyu: %s: %v\n", t.file, failure)
		if reader.Format == "" {
			return failed
		}
		return notRight
	case s.Broken+s.Defects+s.Malformed > 0:
		return notRight
	}
	return done
}

func (t *tapping) complain(place, text string) {
	t.told++
	switch {
	case t.told <= maxComplaints:
		fmt.Fprintf(t.errors, "%s: %s: %s\n", t.file, place, text)
	case t.told == maxComplaints+1:
		fmt.Fprintf(t.errors, "%s: more of the kind is only counted\n", t.file)
	}
}

// show prints a transaction.
func (t *tapping) show(x *tap.Transaction) {
	switch {
	case t.quiet:
	case t.json:
		writeJSON(t.screen, tap.NewRow(x))
	default:
		t.screen.WriteString(tap.NewRow(x).Line())
		t.screen.WriteByte('\n')
	}
}
