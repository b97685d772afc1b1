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
	for _, file := range []string{"compactor/gold.cbor", "compactor/gold.cbor02", "compactor/gold.cbor05"} {
		t.Run(file, func(t *testing.T) { findsWhatTheCaptureHas(t, file) })
	}
}

func findsWhatTheCaptureHas(t *testing.T, file string) {
	_, stored, err := read(t, corpus(t, file))
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
	// The response of one came 2 us before its query, by two clocks. The old files say that it took 80 us.
	const early, late = "smtp.cbi.com. IN A NOERROR 30/490", "smtp.cbi.com. IN A NOERROR 0.080 ms 30/490"
	different := 0
	for i := range stored {
		if file != "compactor/gold.cbor" {
			stored[i] = strings.Replace(stored[i], late, early, 1)
		}
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

// The same capture as a draft and as RFC 8618 has it tells the same, with addresses of both families, OPT records, and messages alone.
func TestReader_readsADraftAsItsSuccessor(t *testing.T) {
	_, draft, err := read(t, corpus(t, "ithitools/data/tiny-capture.cbor"))
	if err != nil {
		t.Fatal(err)
	}
	_, final, err := read(t, corpus(t, "ithitools/data/tiny-capture.cdns"))
	if err != nil || !slices.Equal(draft, final) {
		t.Errorf("%d transactions, %d in the successor's, %v", len(draft), len(final), err)
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
	for file, step := range map[string]int{"gold.cbor": 97, "gold.cbor02": 397, "gold.cbor05": 397} {
		whole := corpus(t, "compactor/"+file)
		_, lines, err := read(t, whole[:len(whole)-10])
		if err == nil || !strings.HasPrefix(err.Error(), "octet ") {
			t.Errorf("%s cut: %v, %d transactions", file, err, len(lines))
		}
		for at := 8; at < len(whole); at += step {
			b := bytes.Clone(whole)
			b[at] ^= 0x41
			read(t, b)
		}
	}
}

func FuzzReader_cdns(f *testing.F) {
	f.Add([]byte("\x83eC-DNS\xa2\x00\x01\x03\x81\xa1\x00\xa1\x00\x19\x03\xe8\x81\xa2\x00\xa1\x00\x82\x01\x02\x03\x81\xa1\x04\x00"))
	f.Add([]byte("\x83eC-DNS\xa3\x00\x00\x01\x05\x03\xa1\x08\x0f\x81\xa2\x00\xa1\x01\x82\x01\x02\x03\x81\xa1\x05\x01"))
	f.Fuzz(func(t *testing.T, b []byte) { read(t, append([]byte("\x83eC-DNS"), b...)) })
}
