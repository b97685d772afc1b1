package tap_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"anyu/house/corpora"
	"anyu/watch/tap"
)

func corpus(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(corpora.Path(t, append([]string{"pcap"}, strings.Split(name, "/")...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compactor's C-DNS file tells, transaction by transaction, what anyu reads from the capture that it was made from (RFC 8618): times, addresses,
// questions, rcodes, sizes as they were, latencies.
func TestReader_findsInCDNSWhatItsCaptureHas(t *testing.T) {
	_, stored, err := read(t, corpus(t, "compactor/gold.cbor"))
	if err != nil {
		t.Fatal(err)
	}
	_, captured, err := read(t, corpus(t, "compactor/gold.pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(stored)
	slices.Sort(captured)
	if len(stored) != 999 || len(captured) != 999 {
		t.Fatalf("%d transactions stored, %d captured", len(stored), len(captured))
	}
	different := 0
	for i := range stored {
		if stored[i] != captured[i] {
			if different++; different < 5 {
				t.Errorf("stored   %s\ncaptured %s", stored[i], captured[i])
			}
		}
	}
	if different > 0 {
		t.Errorf("%d of %d differ", different, len(stored))
	}
}

// The items of a real root server's file: pairs, queries alone and responses alone, as the file has them.
func TestReader_readsARootServersCDNS(t *testing.T) {
	r, lines, err := read(t, corpus(t, "ithitools/data/tiny-capture.cdns"))
	c := &r.Table.Counts
	if err != nil || r.Format != tap.FormatCDNS || r.Frames != 4945 || len(lines) != 4945 || c.Matched != 4831 || c.UnmatchedQueries != 85 || c.UnmatchedResponses != 29 || r.Broken != 0 {
		t.Errorf("%v, %s, %d items, %d lines, %+v", err, r.Format, r.Frames, len(lines), c)
	}
}

// A C-DNS file that is cut or changed somewhere never ends in more than an error with its place; what is whole before it is read.
func TestReader_standsBrokenCDNS(t *testing.T) {
	whole := corpus(t, "compactor/gold.cbor")
	_, lines, err := read(t, whole[:len(whole)-10])
	if err == nil || !strings.HasPrefix(err.Error(), "octet ") {
		t.Errorf("a cut file: %v, %d transactions", err, len(lines))
	}
	for at := 8; at < len(whole); at += 97 {
		b := bytes.Clone(whole)
		b[at] ^= 0x41
		read(t, b)
	}
}

func FuzzReader_cdns(f *testing.F) {
	f.Add([]byte("\x83eC-DNS\xa2\x00\x01\x03\x81\xa1\x00\xa1\x00\x19\x03\xe8\x81\xa2\x00\xa1\x00\x82\x01\x02\x03\x81\xa1\x04\x00"))
	f.Fuzz(func(t *testing.T, b []byte) { read(t, append([]byte("\x83eC-DNS"), b...)) })
}
