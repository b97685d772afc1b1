package ledger_test

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"strings"
	"testing"

	"anyu/watch/ledger"
)

const checkpointLines = "anyu/n1\n17\nhash=\ntime 2026-11-30T12:00:00Z\n\n\u2014 anyu/n1 c2ln\n\u2014 w1 c2ln\n"

func TestMailed_findsTheCheckpoint(t *testing.T) {
	around := "Keep this mail.\n请保存此邮件。\n\n" + checkpointLines + "\n-- \nfooter\n"
	var quoted bytes.Buffer
	w := quotedprintable.NewWriter(&quoted)
	if _, err := w.Write([]byte(strings.ReplaceAll(around, "\n", "\r\n"))); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	head := "From: a@example.org\r\nSubject: x\r\nContent-Transfer-Encoding: "
	for name, text := range map[string]string{
		"itself": checkpointLines, "a text around it": around, "lines of DOS": strings.ReplaceAll(around, "\n", "\r\n"),
		"quoted-printable": head + "quoted-printable\r\n\r\n" + quoted.String(), "base64": head + "BASE64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(around)) + "\r\n",
		"8bit": head + "8bit\r\n\r\n" + around,
	} {
		if got := string(ledger.Mailed([]byte(text))); got != checkpointLines {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, text := range []string{"", "anyu/n1\n", "anyu/n1\n17\n", "nothing\n17\n", "From: a\n\nnothing"} {
		if got := string(ledger.Mailed([]byte(text))); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzMailed(f *testing.F) {
	f.Add([]byte(checkpointLines))
	f.Add([]byte("From: a@example.org\nContent-Transfer-Encoding: base64\n\nYW55dS8="))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := ledger.Mailed(text); len(got) > len(text)+1 {
			t.Errorf("%d octets of %d", len(got), len(text))
		}
	})
}
