package node

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"anyu/act/notify"
	"anyu/config"
	"anyu/event"
	"anyu/watch/ledger"
)

const (
	// firstMail and mailRetry: the first try soon, so that a wrong server is seen while somebody looks.
	firstMail = 30 * time.Second
	mailRetry = 10 * time.Minute
	mailTime  = 30 * time.Second // for one mail
	// mailTries is how many tries may fail before a finding says so: mail servers make strangers wait (greylisting).
	mailTries = 3
)

// mailedFile remembers the last checkpoint that was mailed, inside the ledger's folder.
const mailedFile = "mailed"

type mailed struct {
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

// mailer is who takes the mails of a configuration; nil where there is no mail.
func mailer(c *config.Mail) (*notify.Mailer, error) {
	if c.Server == "" {
		return nil, nil
	}
	o := notify.MailOptions{Server: c.Server, From: c.From, TLS: c.TLS, User: c.User}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mail.password_file: %w", err)
		}
		o.Password = strings.TrimRight(string(b), "\r\n")
	}
	if c.TLSRoots != "" {
		b, err := os.ReadFile(c.TLSRoots)
		if err != nil {
			return nil, fmt.Errorf("mail.tls_roots: %w", err)
		}
		if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("mail.tls_roots: %s holds no certificate", c.TLSRoots)
		}
	}
	return notify.NewMailer(o)
}

// mailLedger sends the ledger's head to those of ledger.mail: what they keep shows a folder that was put back or made anew.
func (n *Node) mailLedger(ctx context.Context) {
	c := n.conf()
	if len(c.Ledger.Mail) == 0 {
		return
	}
	m, err := mailer(&c.Mail)
	if err != nil || m == nil {
		n.opts.Log.Error("the ledger's checkpoint is not mailed", "error", err)
		return
	}
	failed := 0
	next := time.NewTimer(firstMail)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-next.C:
			next.Reset(mailRetry)
			if err := n.mailHead(ctx, m, now); err != nil {
				failed++
				n.opts.Log.Warn("the ledger's checkpoint is not mailed", "error", err)
				n.tellMail(failed, err)
				continue
			}
			failed = 0
			n.tellMail(0, nil)
		}
	}
}

// mailHead sends the head when it is time, and something was added since the last one but the entry about it.
func (n *Node) mailHead(ctx context.Context, m *notify.Mailer, now time.Time) error {
	c := n.conf()
	path := filepath.Join(n.data.Path(ledgerDir), mailedFile)
	var last mailed
	if b, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(b, &last) // what cannot be read is sent again
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if passed := now.Sub(last.Time); passed >= 0 && passed < time.Duration(c.Ledger.MailEvery) {
		return nil
	}
	l := n.book.current()
	if l == nil {
		return errNoLedger
	}
	head, text, _, err := l.Consistency()
	if err != nil {
		return err
	}
	if more := head.Size - last.Size; more >= 0 && more <= 1 && !last.Time.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	if err := m.Send(ctx, c.Ledger.Mail, fmt.Sprintf("[anyu %s] ledger checkpoint, %d entries", c.Node, head.Size), checkpointText(c.Node, l.Key(), text)); err != nil {
		return err
	}
	b, err := json.Marshal(mailed{head.Size, now.UTC()})
	if err == nil {
		err = writeFile(path, b, 0o640)
	}
	n.audit(c.Node, "checkpoint mailed", ledger.Fact{Name: "to", Value: strings.Join(c.Ledger.Mail, ", ")}, ledger.Fact{Name: "entries", Value: fmt.Sprint(head.Size)})
	return err
}

// checkpointText is the mail: for who keeps it, in both languages, and the checkpoint as it is.
func checkpointText(node, key string, checkpoint []byte) string {
	return fmt.Sprintf("Keep this mail. With it, anyu finds whether the data folder of %s was put back to an older state or made anew:\n"+
		"请保存此邮件。凭它可以发现 %s 的数据目录是否被回退或重建：\n\n    anyu ledger verify --data DIR --checkpoint THIS-MAIL --key '%s'\n\n%s\n", node, node, key, checkpoint)
}

func (n *Node) tellMail(failed int, err error) {
	if failed > 0 && failed < mailTries {
		return
	}
	report(n.findings, "ledger-mail", n.conf().Node, event.Warning, err == nil, func() []event.Fact {
		return []event.Fact{{Name: "error", Value: fmt.Sprint(err)}}
	})
}
