package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"anyu/watch/tap/framestream"
)

const (
	// maxWriters bounds the connections of a source (stops: descriptors held by who only connects). Servers use one to some.
	maxWriters = 64
	// greeting is the time for a TLS handshake and the start of the stream. After that a server may be silent for days.
	greeting = 10 * time.Second
	// batch bounds how long others of the same source wait for the table.
	batch = 256
	// patience is how many ms a stream waits for room in the ring before it drops.
	patience = 50
	// pause is for listeners that fail, such as for want of descriptors.
	pause = 100 * time.Millisecond

	maxSocketPath = 107
	socketMode    = 0o660
)

// ListenUnix opens a unix socket. What a killed process left in its place is removed.
func ListenUnix(path string, s Settings, log *slog.Logger) (*Source, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%s: longer than %d octets, which a socket's path may have", path, maxSocketPath)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: somebody else listens there", path)
		}
		os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := give(path, s.Group); err != nil {
		l.Close()
		return nil, err
	}
	src := newSource(s, log)
	src.listener = l
	return src, nil
}

// give lets owner and group of the socket use it, and nobody else.
func give(path, group string) error {
	if err := os.Chmod(path, socketMode); err != nil {
		return err
	}
	if group == "" {
		return nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, -1, id)
}

// ListenTCP opens a TCP port, with TLS where the settings have a certificate.
func ListenTCP(at netip.AddrPort, s Settings, log *slog.Logger) (*Source, error) {
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	src := newSource(s, log)
	src.listener = l
	return src, nil
}

func (s *Source) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if s.closed() || errors.Is(err, net.ErrClosed) {
				return
			}
			s.fail("accepting connections", err)
			time.Sleep(pause)
			continue
		}
		if !s.admit(c) {
			c.Close()
			continue
		}
		s.work.Go(func() { s.stream(c) })
	}
}

// admit decides whether a writer may speak.
func (s *Source) admit(c net.Conn) bool {
	pid := 0
	switch from := c.RemoteAddr().(type) {
	case *net.TCPAddr:
		if !within(s.settings.Load().Clients, from.AddrPort().Addr().Unmap()) {
			s.refuse(fmt.Sprintf("%s may not send: it is not in clients", from.IP))
			return false
		}
	case *net.UnixAddr:
		pid = writer(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return false
	}
	if len(s.writers) >= maxWriters {
		s.refused++
		s.problem = fmt.Sprintf("more than %d connections", maxWriters)
		return false
	}
	s.writers[c] = pid
	return true
}

func (s *Source) refuse(why string) {
	s.mu.Lock()
	s.refused++
	s.problem = why
	s.mu.Unlock()
	s.log.Warn("tap: a connection was refused", "tap", s.settings.Load().Name, "why", why)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// writer is the process at the other end of a unix socket; 0 where it is not of this machine's view.
func writer(c net.Conn) (pid int) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) { // without an answer it stays unknown
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

func (s *Source) fail(what string, err error) {
	if s.closed() {
		return
	}
	name := s.settings.Load().Name
	s.mu.Lock()
	s.problem = what + ": " + err.Error()
	s.mu.Unlock()
	s.log.Warn("tap", "tap", name, "while", what, "error", err)
}

// stream reads one connection to its end.
func (s *Source) stream(c net.Conn) {
	plain := c
	defer func() {
		plain.Close()
		s.mu.Lock()
		delete(s.writers, plain)
		s.mu.Unlock()
	}()
	c.SetDeadline(time.Now().Add(greeting))
	if config := s.settings.Load().TLS; config != nil {
		secured := tls.Server(c, config)
		if err := secured.HandshakeContext(context.Background()); err != nil {
			s.fail("TLS with "+c.RemoteAddr().String(), err)
			return
		}
		c = secured
	}
	r := framestream.NewReader(c, c, framestream.ContentType)
	if err := r.Start(); err != nil {
		s.fail("beginning a stream", err)
		return
	}
	c.SetDeadline(time.Time{})
	for long := uint64(0); ; {
		frame, err := r.Next()
		if n := r.TooLong(); n > long {
			s.tooLong(n - long)
			long = n
		}
		if err == nil {
			s.awaitRoom()
			err = s.take(r, frame)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
			return // without STOP, too: the server was killed
		default:
			s.fail("reading a stream", err)
			return
		}
	}
}

// awaitRoom lets the reader of the ring catch up when it is nearly full: the socket holds what comes meanwhile. It does not do so for long, since a server
// whose socket is full drops without our knowing how much; what we drop is counted.
func (s *Source) awaitRoom() {
	for range patience {
		if s.ring.Used() < s.ring.Size()/4*3 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// take handles a frame and those that came with it.
func (s *Source) take(r *framestream.Reader, frame []byte) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for n := 1; ; n++ {
		s.frame(frame, now)
		if n == batch || !r.Waiting() {
			return nil
		}
		if frame, err = r.Next(); err != nil {
			return err
		}
	}
}

func (s *Source) tooLong(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken += n
	s.problem = "a frame longer than any dnstap message"
}

func (s *Source) frame(b []byte, now time.Time) {
	s.frames++
	d, m := &s.decoded, &s.message
	if err := d.Decode(b); err != nil {
		s.broken++
		s.problem = fmt.Sprintf("frame %d: %v", s.frames, err)
		return
	}
	if !d.Type.Known() {
		s.unknown++
	}
	if !m.FromDnstap(d) {
		s.last = now
		s.table.Bare()
		return
	}
	s.add(m, now)
}
