package config

import (
	"fmt"
	"net"
	"net/mail"
)

// Mail is the server that takes our mails, and who they are from. Who gets them stands under notify.mail and ledger.mail.
type Mail struct {
	// Server takes the mails, HOST:PORT. Default: none, no mail is sent.
	Server string `yaml:"server"`
	// From is the sender's address.
	From string `yaml:"from"`
	// TLS: starttls (default; a server without it is refused), tls (from the first octet, mostly port 465), or none, for a server on this machine.
	TLS string `yaml:"tls"`
	// TLSRoots is a PEM file of the certificate authorities to trust. Default: those of the system.
	TLSRoots string `yaml:"tls_roots"`
	// User logs in. Default: nobody does.
	User string `yaml:"user"`
	// PasswordFile is a file with the user's password. It is not sent over a connection that is not encrypted, but to this machine.
	PasswordFile string `yaml:"password_file"`
}

// check also looks at those who get mails.
func (c *Config) checkMail() error {
	for _, list := range []struct {
		at string
		to []string
	}{{"$.notify.mail", c.Notify.Mail}, {"$.ledger.mail", c.Ledger.Mail}} {
		for i, address := range list.to {
			at := fmt.Sprintf("%s[%d]", list.at, i)
			if _, err := mail.ParseAddress(address); err != nil {
				return wrong(at, "%q is no mail address: %v", address, err)
			}
			if c.Mail.Server == "" {
				return wrong(at, "there is no mail.server that would take it")
			}
		}
	}
	m := &c.Mail
	if m.Server == "" {
		return nil
	}
	if host, _, err := net.SplitHostPort(m.Server); err != nil || host == "" {
		return wrong("$.mail.server", "%q: write HOST:PORT, for example smtp.example.org:587", m.Server)
	}
	if _, err := mail.ParseAddress(m.From); err != nil {
		return wrong("$.mail", "from: %q is no mail address: %v", m.From, err)
	}
	switch {
	case m.TLS != "starttls" && m.TLS != "tls" && m.TLS != "none":
		return wrong("$.mail.tls", "%q: there are starttls, tls and none", m.TLS)
	case (m.User == "") != (m.PasswordFile == ""):
		return wrong("$.mail", "user and password_file belong together")
	case c.Ledger.MailEvery < leastMail:
		return wrong("$.ledger.mail_every", "1h is the least")
	}
	return nil
}
