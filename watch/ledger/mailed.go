package ledger

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// maxMailed bounds a saved mail (stops: an archive given by mistake).
const maxMailed = 4 << 20

// Mailed finds a checkpoint in what was kept of it: the checkpoint itself, a text around it, or a whole mail as a program saves it. Where it finds none it gives
// the text back, and reading that says what is wrong. It decides nothing: the signature does.
func Mailed(text []byte) []byte {
	if len(text) > maxMailed {
		return text
	}
	body := text
	if m, err := mail.ReadMessage(bytes.NewReader(text)); err == nil && m.Header.Get("From") != "" {
		if decoded, err := io.ReadAll(decoder(m.Header.Get("Content-Transfer-Encoding"), m.Body)); err == nil {
			body = decoded
		}
	}
	lines := strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
	for i := 0; i+1 < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "anyu/") || !number(lines[i+1]) {
			continue
		}
		end := i
		for j := i; j < len(lines) && (lines[j] != "" || end == i); j++ {
			if strings.HasPrefix(lines[j], signedLine) {
				end = j + 1
			}
		}
		if end > i {
			return []byte(strings.Join(lines[i:end], "\n") + "\n")
		}
	}
	return text
}

// signedLine is how a signature of a note begins.
const signedLine = "\u2014 "

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func decoder(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}
