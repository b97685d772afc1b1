package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"anyu/config"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/resolve"
)

// Bounds of fetching the root zone, which has 2.3 MB as text: a source must not fill the memory or hold us for ever.
const (
	maxRootText    = 64 << 20
	maxRootRecords = 1 << 20
	fetchPatience  = 2 * time.Minute
	fetchIdle      = 15 * time.Second // for the next message of a transfer
	fetchDial      = 5 * time.Second
)

// rootSource fetches from one source. It belongs to one goroutine.
type rootSource struct {
	config.RootSource
	text  string // as it is configured
	roots *x509.CertPool
	look  lookup // of the host of https
	mark  string // of what was fetched last: entity tag or time and size of a file
}

// lookup finds the addresses of a host. It is never the system's: that may be this very process, which would wait for itself.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// openRootSources reads what is configured.
func openRootSources(c *config.LocalRoot) (list []*rootSource, err error) {
	var roots *x509.CertPool
	if c.TLSRoots != "" {
		pem, err := os.ReadFile(c.TLSRoots)
		if err != nil {
			return nil, fmt.Errorf("recursion.local_root.tls_roots: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("recursion.local_root.tls_roots: no certificate in %s", c.TLSRoots)
		}
	}
	for _, text := range c.Sources {
		s, err := config.ParseRootSource(text)
		if err != nil {
			return nil, err
		}
		list = append(list, &rootSource{RootSource: s, text: text, roots: roots})
	}
	return list, nil
}

// fetch gets the zone; have is the version that is here, or nil, and is what it returns where the source has nothing else.
func (s *rootSource) fetch(ctx context.Context, have *zone.Zone) (*zone.Zone, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	z, err := func() (*zone.Zone, error) {
		switch s.Kind {
		case "https":
			return s.download(ctx, have)
		case "file":
			return s.read(ctx, have)
		}
		return s.transfer(ctx, have)
	}()
	if err != nil {
		return nil, fmt.Errorf("fetching the root zone from %s: %w", s.text, err)
	}
	return z, nil
}

// download gets the zone as text (RFC 9110).
func (s *rootSource) download(ctx context.Context, have *zone.Zone) (*zone.Zone, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: s.dialHost, TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > 5 {
			return errors.New("redirected away from https, or too often")
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Place, nil)
	if err != nil {
		return nil, err
	}
	if have != nil && s.mark != "" {
		r.Header.Set("If-None-Match", s.mark)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && have != nil:
		return have, nil
	case answer.StatusCode != http.StatusOK:
		return nil, errors.New(answer.Status)
	}
	z, err := readRoot(ctx, s.Place, answer.Body)
	if err == nil {
		s.mark = answer.Header.Get("ETag")
	}
	return z, err
}

// dialHost connects to a host by name: that of the source is where the configuration says, if it does; others are looked up.
func (s *rootSource) dialHost(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: fetchDial}
	if u, err := url.Parse(s.Place); err == nil && s.Address.IsValid() && u.Hostname() == host {
		return d.DialContext(ctx, network, s.Address.String())
	}
	list := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		list = append(list, a)
	} else if list, err = s.look(ctx, host); err != nil {
		return nil, err
	}
	failed := fmt.Errorf("%s has no address", host)
	for _, a := range list {
		conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(a, uint16(port)).String())
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}

// addressesOf looks a host up, as clients' names are.
func (r *resolver) addressesOf(ctx context.Context, host string) (list []netip.Addr, err error) {
	name, err := wire.ParseName(host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		ask, cancel := context.WithTimeout(ctx, lookupPatience)
		a, bad := r.ask(ask, message.Question{Name: name, Type: t, Class: wire.ClassIN}, resolve.Options{Priority: true})
		cancel()
		switch {
		case bad != nil:
			err = fmt.Errorf("looking up %s: %w", host, bad)
			continue
		case a.Rcode != wire.NoError:
			err = fmt.Errorf("looking up %s: %v %s", host, a.Rcode, a.Text)
			continue
		}
		for _, set := range a.Answer {
			for _, data := range set.Data {
				if found, ok := netip.AddrFromSlice(data); ok && set.Type == t {
					list = append(list, found)
				}
			}
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, err
}

// read gets the zone from a file.
func (s *rootSource) read(ctx context.Context, have *zone.Zone) (*zone.Zone, error) {
	f, err := os.Open(s.Place)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mark := fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size())
	if have != nil && mark == s.mark {
		return have, nil
	}
	z, err := readRoot(ctx, s.Place, f)
	if err == nil {
		s.mark = mark
	}
	return z, err
}

// readRoot reads the zone from text of others: nothing else is opened, whatever it includes.
func readRoot(ctx context.Context, name string, r io.Reader) (*zone.Zone, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRootText+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxRootText {
		return nil, fmt.Errorf("longer than %d octets", maxRootText)
	}
	z, _, err := zone.Load(ctx, zone.LoadOptions{Name: wire.Root(), Class: wire.ClassIN, File: name, RefuseOutside: true, Open: func(file string) (io.ReadCloser, error) {
		if file != name {
			return nil, errors.New("a root zone includes no other files")
		}
		return io.NopCloser(bytes.NewReader(text)), nil
	}})
	return z, err
}

// transfer gets the zone by AXFR over TCP (RFC 5936) or TLS (RFC 9103). The SOA is asked for first, on the same connection: what is here already is not
// transferred again.
func (s *rootSource) transfer(ctx context.Context, have *zone.Zone) (*zone.Zone, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in := &rootStream{conn: conn}
	if have != nil {
		if err := in.ask(wire.TypeSOA); err != nil {
			return nil, err
		}
		soa := rootReader{}
		if _, err := in.next(&soa); err != nil {
			return nil, err
		}
		if soa.seen && soa.serial == have.Serial() {
			return have, nil
		}
	}
	if err := in.ask(wire.TypeAXFR); err != nil {
		return nil, err
	}
	r := rootReader{edit: zone.NewEmpty(wire.Root(), wire.ClassIN)}
	for {
		done, err := in.next(&r)
		if err != nil {
			return nil, err
		}
		if done {
			return r.edit.Done()
		}
	}
}

func (s *rootSource) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: fetchDial}
	if s.Kind == "axfr" {
		return d.DialContext(ctx, "tcp", s.Address.String())
	}
	t := tls.Dialer{NetDialer: &d, Config: &tls.Config{ServerName: s.Name, RootCAs: s.roots, MinVersion: tls.VersionTLS13, NextProtos: []string{"dot"}}} // RFC 9103, Section 7.1
	conn, err := t.DialContext(ctx, "tcp", s.Address.String())
	if err != nil {
		return nil, err
	}
	if conn.(*tls.Conn).ConnectionState().NegotiatedProtocol != "dot" {
		conn.Close()
		return nil, errors.New("the server does not speak DNS over TLS (ALPN dot)")
	}
	return conn, nil
}

// rootStream is a connection to a server that has the zone.
type rootStream struct {
	conn   net.Conn
	id     uint16
	total  int
	parser wire.Parser
	room   []byte
}

func (in *rootStream) ask(t wire.Type) error {
	in.id = uint16(rand.Uint32())
	var b wire.Builder
	b.Reset(make([]byte, wire.HeaderSize+8))
	b.Question(wire.Root(), t, wire.ClassIN)
	q := b.Finish(in.id, 0)
	if err := in.conn.SetDeadline(time.Now().Add(fetchIdle)); err != nil {
		return err
	}
	_, err := in.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...))
	return err
}

// next reads one message and gives its answers to r; done is what r says.
func (in *rootStream) next(r *rootReader) (done bool, err error) {
	if err := in.conn.SetDeadline(time.Now().Add(fetchIdle)); err != nil {
		return false, err
	}
	var size [2]byte
	if _, err := io.ReadFull(in.conn, size[:]); err != nil {
		return false, fmt.Errorf("in the middle: %w", err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(in.conn, msg); err != nil {
		return false, fmt.Errorf("in the middle: %w", err)
	}
	if in.total += len(msg); in.total > maxRootText {
		return false, fmt.Errorf("longer than %d octets", maxRootText)
	}
	h, err := in.parser.Start(msg)
	switch {
	case err != nil:
		return false, err
	case h.Flags&wire.FlagQR == 0 || h.ID != in.id || h.Flags&wire.FlagTC != 0:
		return false, errors.New("a message that is no reply to our question")
	case h.Rcode() != wire.NoError:
		return false, fmt.Errorf("the server says %v", h.Rcode())
	}
	for in.parser.Section() != wire.Done {
		if in.parser.Section() == wire.Questions {
			if _, err := in.parser.Question(); err != nil {
				return false, err
			}
			continue
		}
		rr, err := in.parser.RR()
		if err != nil {
			return false, err
		}
		if rr.Section != wire.Answers {
			continue
		}
		if in.room, err = wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), in.room[:0]); err != nil {
			return false, err
		}
		if done {
			return false, errors.New("records after the last SOA") // RFC 5936, Section 2.2
		}
		if done, err = r.record(&rr, in.room); err != nil {
			return false, err
		}
	}
	return done || r.edit == nil, nil
}

// rootReader takes records until the second SOA (RFC 5936, Section 2.2).
type rootReader struct {
	edit    *zone.Edit // nil: only the SOA is of interest
	seen    bool
	serial  uint32
	records int
}

func (r *rootReader) record(rr *wire.RR, rdata []byte) (done bool, err error) {
	if r.records++; r.records > maxRootRecords {
		return false, fmt.Errorf("more than %d records", maxRootRecords)
	}
	if rr.Type == wire.TypeSOA && rr.Name.IsRoot() && len(rdata) >= 20 {
		serial := binary.BigEndian.Uint32(rdata[len(rdata)-20:])
		if r.seen {
			if serial != r.serial {
				return false, fmt.Errorf("begins with serial %d and ends with %d", r.serial, serial)
			}
			return true, nil
		}
		r.seen, r.serial = true, serial
	}
	if !r.seen {
		return false, errors.New("does not begin with the SOA")
	}
	if r.edit == nil {
		return false, nil
	}
	return false, r.edit.Add(rr.Name, rr.Type, rr.TTL, rdata)
}
