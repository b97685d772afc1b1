package notify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"anyu/act/notify"
)

// mailbox is a mail server that remembers what it took.
type mailbox struct {
	address string
	roots   *x509.CertPool
	got     chan string // commands, then the message
	refuse  string      // the answer to RCPT; "" is 250
	plain   bool        // offers no STARTTLS
}

func openMailbox(t *testing.T, box *mailbox) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "box"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	box.roots = x509.NewCertPool()
	box.roots.AddCert(own)
	box.address, box.got = l.Addr().String(), make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go box.serve(conn, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
		}
	}()
	return box
}

func (b *mailbox) serve(conn net.Conn, secret *tls.Config) {
	defer conn.Close()
	in, said := bufio.NewReader(conn), ""
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 box")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		word := strings.ToUpper(strings.Fields(line + " x")[0])
		said += strings.TrimSpace(line) + "|"
		switch word {
		case "EHLO":
			say("250-box")
			if !b.plain {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, secret)
			in = bufio.NewReader(conn)
			said += "(encrypted)|"
		case "AUTH":
			say("235 welcome")
		case "RCPT":
			if b.refuse != "" {
				say(b.refuse)
				b.got <- said
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 speak")
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			say("250 taken")
			b.got <- said + "\n" + text.String()
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (b *mailbox) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-b.got:
		return text
	case <-time.After(10 * time.Second):
		t.Fatal("no mail")
	}
	return ""
}

func (b *mailbox) mailer(t *testing.T, how string) *notify.Mailer {
	t.Helper()
	m, err := notify.NewMailer(notify.MailOptions{Server: b.address, From: "anyu <anyu@ns1.example>", TLS: how, Roots: b.roots, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMail_isEncryptedAndReadable(t *testing.T) {
	b := openMailbox(t, &mailbox{})
	r := notify.NewMail(b.mailer(t, notify.MailSTARTTLS), []string{"a@example.org", "域 <b@example.org>"}, nil)
	f := finding()
	f.Subject = "evil\r\nBcc: all@example.net 域"
	r.Notify(f)
	said, text, _ := strings.Cut(b.next(t), "\n")
	shut(t, r)
	if r.Sent() != 1 || !strings.Contains(said, "(encrypted)|EHLO") || !strings.Contains(said, "MAIL FROM:<anyu@ns1.example>") || !strings.Contains(said, "RCPT TO:<b@example.org>") {
		t.Errorf("%d sent, %s", r.Sent(), said)
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || m.Header.Get("Bcc") != "" || subject != "[anyu n1] critical open: nx-share "+f.Subject {
		t.Errorf("subject %q, Bcc %q, %v", subject, m.Header.Get("Bcc"), err)
	}
	if body, _ := io.ReadAll(m.Body); !strings.Contains(string(body), "share        96.0 %") {
		t.Errorf("%s", body)
	}
}

func TestMail_refusalsAreNotTriedAgain(t *testing.T) {
	b := openMailbox(t, &mailbox{refuse: "550 nobody"})
	r := notify.NewMail(b.mailer(t, notify.MailSTARTTLS), []string{"a@example.org"}, nil)
	r.Notify(finding())
	shut(t, r)
	if r.Dropped() != 1 || len(b.got) != 1 {
		t.Errorf("%d dropped after %d tries", r.Dropped(), len(b.got))
	}
}

func TestMail_believesNoServerWithoutEncryption(t *testing.T) {
	b := openMailbox(t, &mailbox{plain: true})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := b.mailer(t, notify.MailSTARTTLS).Send(ctx, []string{"a@example.org"}, "s", "t"); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("%v", err)
	}
	strange := b.mailer(t, notify.MailTLS) // speaks TLS to one that does not
	if err := strange.Send(ctx, []string{"a@example.org"}, "s", "t"); err == nil {
		t.Error("sent")
	}
}

func TestMailer_refusesNonsense(t *testing.T) {
	for _, o := range []notify.MailOptions{{}, {Server: "box", From: "a@b", TLS: "tls"}, {Server: "box:25", From: "a", TLS: "tls"}, {Server: "box:25", From: "a@b"}} {
		if _, err := notify.NewMailer(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}
