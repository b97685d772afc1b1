package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"anyu/event"
)

// MailOptions say which server takes our mail.
type MailOptions struct {
	Server   string         // host:port
	From     string         // address
	TLS      string         // starttls, tls or none
	Roots    *x509.CertPool // nil: those of the system
	User     string         // "" does not log in
	Password string
	Now      func() time.Time // nil: the clock
}

// How a mail server is spoken to.
const (
	MailSTARTTLS = "starttls"
	MailTLS      = "tls"
	MailPlain    = "none"
)

// maxSubject bounds a subject, in characters (stops: a name of a stranger that fills the list of mails).
const maxSubject = 150

// Mailer sends mails. It keeps no connection: mails are rare.
type Mailer struct {
	opts MailOptions
	host string
}

// NewMailer checks what it is told. Nothing is connected yet.
func NewMailer(o MailOptions) (*Mailer, error) {
	host, _, err := net.SplitHostPort(o.Server)
	if err != nil || host == "" {
		return nil, fmt.Errorf("mail: server %q: write HOST:PORT, for example smtp.example.org:587", o.Server)
	}
	if _, err := mail.ParseAddress(o.From); err != nil {
		return nil, fmt.Errorf("mail: sender %q: %w", o.From, err)
	}
	switch o.TLS {
	case MailSTARTTLS, MailTLS, MailPlain:
	default:
		return nil, fmt.Errorf("mail: tls %q: there are %s, %s and %s", o.TLS, MailSTARTTLS, MailTLS, MailPlain)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Mailer{opts: o, host: host}, nil
}

// NewMail sends each finding as a mail.
func NewMail(m *Mailer, to []string, logger *slog.Logger) *Receiver {
	send := func(ctx context.Context, f *event.Finding) error {
		return m.Send(ctx, to, fmt.Sprintf("[anyu %s] %s %s: %s %s", f.Node, f.Severity, state(f), f.Kind, f.Subject), findingText(f))
	}
	return newReceiver("mail "+m.opts.Server, logger, send, func() {})
}

// findingText is a finding for people who read mail.
func findingText(f *event.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", summary(f))
	for _, p := range [][2]string{{"kind", f.Kind}, {"subject", f.Subject}, {"node", f.Node}, {"severity", f.Severity.String()}, {"state", state(f)}, {"id", f.ID}} {
		fmt.Fprintf(&b, "%-12s %s\n", p[0], p[1])
	}
	for _, fact := range f.Facts {
		fmt.Fprintf(&b, "%-12s %s\n", fact.Name, fact.Value)
	}
	return b.String()
}

// Send hands one mail to the server. An error that no repetition will mend is marked as such.
func (m *Mailer) Send(ctx context.Context, to []string, subject, text string) error {
	message, err := m.message(to, subject, text)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	c, err := m.connect(ctx)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", m.opts.Server, judged(err))
	}
	defer c.Close()
	if err := m.deliver(c, to, message); err != nil {
		return fmt.Errorf("mail server %s: %w", m.opts.Server, judged(err))
	}
	return nil
}

// judged marks what the server refuses for good (RFC 5321, Section 4.2.1).
func judged(err error) error {
	var said *textproto.Error
	if errors.As(err, &said) && said.Code >= 500 {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	return err
}

// connect opens a session that is encrypted, unless that is not wanted: a server that offers no STARTTLS is not believed.
func (m *Mailer) connect(ctx context.Context) (*smtp.Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", m.opts.Server)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	secret := &tls.Config{ServerName: m.host, RootCAs: m.opts.Roots, MinVersion: tls.VersionTLS12}
	if m.opts.TLS == MailTLS {
		conn = tls.Client(conn, secret)
	}
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if m.opts.TLS == MailSTARTTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, errors.Join(errors.New("it offers no STARTTLS: write tls, or none where nobody can listen"), c.Close())
		}
		if err := c.StartTLS(secret); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (m *Mailer) deliver(c *smtp.Client, to []string, message []byte) error {
	if m.opts.User != "" {
		// It refuses to send a password over a connection that is not encrypted, but to this machine.
		if err := c.Auth(smtp.PlainAuth("", m.opts.User, m.opts.Password, m.host)); err != nil {
			return err
		}
	}
	if err := c.Mail(bare(m.opts.From)); err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(bare(one)); err != nil {
			return fmt.Errorf("recipient %s: %w", one, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the mail is taken
	return nil
}

// bare is the address without a name.
func bare(address string) string {
	if a, err := mail.ParseAddress(address); err == nil {
		return a.Address
	}
	return address
}

// message is the mail (RFC 5322). Texts of strangers stand in it: a subject is encoded where it is not plain text, so that no line of a header can be put in.
func (m *Mailer) message(to []string, subject, text string) ([]byte, error) {
	now := m.opts.Now()
	if r := []rune(subject); len(r) > maxSubject {
		subject = string(r[:maxSubject-3]) + "..."
	}
	_, domain, _ := strings.Cut(bare(m.opts.From), "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", m.opts.From}, {"To", strings.Join(to, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", subject)}, {"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", fmt.Sprintf("<%d.%s@%s>", now.UnixNano(), rand.Text(), domain)}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, err := io.WriteString(w, strings.ReplaceAll(text, "\n", "\r\n"))
	return b.Bytes(), errors.Join(err, w.Close())
}
