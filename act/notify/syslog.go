package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"anyu/event"
)

// SyslogOptions say which syslog server is told.
type SyslogOptions struct {
	Network  string // udp, tcp or unixgram
	Address  string // host:port, or a path such as /dev/log
	Facility int    // 0 is local0 (16)
	Hostname string // "" is the machine's
	Logger   *slog.Logger
}

const (
	localFacility = 16
	// maxMessage: RFC 5424, Section 6.1: receivers should be able to take messages of 2048 octets.
	maxMessage = 2048
)

// severities are those of RFC 5424, Section 6.2.1: informational, warning, critical.
var severities = [...]int{event.Info: 6, event.Warning: 4, event.Critical: 2}

// NewSyslog sends each finding as one message of RFC 5424.
func NewSyslog(o SyslogOptions) (*Receiver, error) {
	switch o.Network {
	case "udp", "tcp", "unixgram":
	default:
		return nil, fmt.Errorf("syslog: network %q is none of udp, tcp, unixgram", o.Network)
	}
	if o.Address == "" || o.Facility < 0 || o.Facility > 23 {
		return nil, fmt.Errorf("syslog: address %q with facility %d: an address and 0 to 23 are needed", o.Address, o.Facility)
	}
	if o.Facility == 0 {
		o.Facility = localFacility
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname() // unknown is "-"
	}
	s := &syslog{opts: o}
	return newReceiver("syslog "+o.Network+" "+o.Address, o.Logger, s.send, s.drop), nil
}

// syslog keeps one connection and opens another when it breaks. It is used by the receiver's goroutine only.
type syslog struct {
	opts SyslogOptions
	conn net.Conn
}

func (s *syslog) send(ctx context.Context, f *event.Finding) error {
	if s.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, s.opts.Network, s.opts.Address)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	text := s.message(f)
	if s.opts.Network == "tcp" {
		text = strconv.Itoa(len(text)) + " " + text // RFC 6587, Section 3.4.1: octet counting
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.conn.SetWriteDeadline(deadline); err != nil {
			s.drop()
			return err
		}
	}
	if _, err := s.conn.Write([]byte(text)); err != nil {
		s.drop()
		return err
	}
	return nil
}

func (s *syslog) drop() {
	if s.conn != nil {
		_ = s.conn.Close() // it is given up in any case
		s.conn = nil
	}
}

// message is the finding in the form of RFC 5424, Section 6.
func (s *syslog) message(f *event.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%d>1 %s %s anyu %d %s ", s.opts.Facility*8+severities[min(int(f.Severity), len(severities)-1)],
		f.Updated.UTC().Format("2006-01-02T15:04:05.000000Z"), printable(s.opts.Hostname, 255), os.Getpid(), printable(f.Kind, 32))
	// RFC 5424, Section 6.3.2: an SD-ID of one's own needs an enterprise number; 32473 is the one for documentation (RFC 5612), until we have one.
	b.WriteString("[finding@32473")
	for _, p := range [...][2]string{{"id", f.ID}, {"subject", f.Subject}, {"node", f.Node}, {"state", state(f)}, {"opened", f.Opened.UTC().Format(time.RFC3339)}} {
		fmt.Fprintf(&b, ` %s="%s"`, p[0], paramEscaper.Replace(strings.ToValidUTF8(p[1], "?")))
	}
	// RFC 5424, Section 6.4: a message in UTF-8 begins with the byte order mark.
	b.WriteString("] \ufeff" + oneLine.Replace(strings.ToValidUTF8(summary(f), "?")))
	return cutText(b.String(), maxMessage)
}

// RFC 5424, Section 6.3.3: '"', '\' and ']' are escaped in a parameter.
var paramEscaper = strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`, "\n", " ", "\r", " ")

var oneLine = strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ")

// printable makes a header field: printable US-ASCII without spaces, "-" for nothing (RFC 5424, Section 6).
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7F {
			return r
		}
		return -1
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// cutText shortens a text to most octets, between characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
