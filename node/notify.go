package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"anyu/act/notify"
	"anyu/config"
	"anyu/watch/findings"
	"anyu/watch/history"
)

// receivers are those that findings are sent to.
func (n *Node) receivers(c *config.Config) ([]*notify.Receiver, error) {
	var list []*notify.Receiver
	for _, url := range c.Notify.Webhooks {
		r, err := notify.NewWebhook(notify.WebhookOptions{URL: url, Logger: n.opts.Log})
		if err != nil {
			return nil, fmt.Errorf("notify.webhooks: %w", err)
		}
		list = append(list, r)
	}
	if len(c.Notify.Mail) > 0 {
		m, err := mailer(&c.Mail)
		if err != nil {
			return nil, err
		}
		list = append(list, notify.NewMail(m, c.Notify.Mail, n.opts.Log))
	}
	if c.Notify.Syslog == "" {
		return list, nil
	}
	o := notify.SyslogOptions{Hostname: c.Node, Logger: n.opts.Log}
	if path, ok := strings.CutPrefix(c.Notify.Syslog, "unix:"); ok {
		o.Network, o.Address = "unixgram", path
	} else {
		o.Network, o.Address, _ = strings.Cut(c.Notify.Syslog, "://")
	}
	r, err := notify.NewSyslog(o)
	if err != nil {
		return nil, fmt.Errorf("notify.syslog %q: write udp://HOST:PORT, tcp://HOST:PORT or unix:PATH: %w", c.Notify.Syslog, err)
	}
	return append(list, r), nil
}

// openFindings opens the store of findings and those it tells.
func (n *Node) openFindings() (err error) {
	if n.notify, err = n.receivers(n.conf()); err != nil {
		return err
	}
	tell := []findings.Notifier{n.book.recorder}
	for _, r := range n.notify {
		tell = append(tell, r)
	}
	n.findings, err = findings.Open(n.data.Path(findingsFile), time.Now(), n.opts.Log, tell...)
	return err
}

// closeFindings writes what is open and gives receivers a moment for what waits.
func (n *Node) closeFindings(ctx context.Context) {
	if n.findings != nil {
		n.findings.Close()
	}
	for _, r := range n.notify {
		r.Close(ctx)
	}
}

// notifyDropped counts what receivers did not take.
func (n *Node) notifyDropped() history.Count {
	c := history.Count{Name: "notify"}
	for _, r := range n.notify {
		c.N += r.Dropped()
	}
	return c
}
