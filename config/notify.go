package config

import (
	"net"
	"net/url"
	"strings"
)

// check finds places that findings cannot be sent to.
func (n *Notify) check() error {
	for _, hook := range n.Webhooks {
		// The URL itself is not shown: it may hold a token.
		if u, err := url.Parse(hook); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return wrong("$.notify.webhooks", "one of them is no URL that begins with https:// or http:// and names a host")
		}
	}
	if n.Syslog == "" || strings.HasPrefix(n.Syslog, "unix:") {
		return nil
	}
	network, address, _ := strings.Cut(n.Syslog, "://")
	if _, _, err := net.SplitHostPort(address); err != nil || network != "udp" && network != "tcp" {
		return wrong("$.notify.syslog", "%q: write udp://HOST:PORT, tcp://HOST:PORT or unix:PATH", n.Syslog)
	}
	return nil
}
