package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// certificates is a pair of PEM files and the certificate made of them. Handshakes read it without a lock; a new pair is
// swapped in whole. Sessions that are open keep what they agreed on.
type certificates struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	failure           atomic.Pointer[string] // why the files on disk are not in use; nil when they are

	stamp [2]fileStamp // of the last attempt; the owner's
}

// fileStamp tells one version of a file from the next.
type fileStamp struct {
	changed time.Time
	size    int64
}

// certificatesFor returns what c needs: the pair in use if its files stay, else a new one, loaded.
func (s *Server) certificatesFor(c Config) (*certificates, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	if now := s.certificates.Load(); now != nil && now.certFile == c.Certificate && now.keyFile == c.Key {
		return now, now.load()
	}
	fresh := &certificates{certFile: c.Certificate, keyFile: c.Key}
	return fresh, fresh.load()
}

// load reads both files. On error what was in use stays in use.
func (c *certificates) load() error {
	c.stamp = [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		err = fmt.Errorf("loading certificate %s and key %s: %w", c.certFile, c.keyFile, err)
		text := err.Error()
		c.failure.Store(&text)
		return err
	}
	c.current.Store(&pair)
	c.failure.Store(nil)
	return nil
}

func (c *certificates) changed() bool {
	return c.stamp != [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
}

func (c *certificates) state() (end time.Time, failure string) {
	if pair := c.current.Load(); pair != nil && pair.Leaf != nil {
		end = pair.Leaf.NotAfter
	}
	if f := c.failure.Load(); f != nil {
		failure = *f
	}
	return end, failure
}

// stampOf follows symbolic links, which is how certbot and Kubernetes swap files.
func stampOf(file string) fileStamp {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// watchCertificates takes new files up. It looks at their times instead of waiting for events: those are lost on network file
// systems and on swapped links.
func (s *Server) watchCertificates(ctx context.Context) {
	defer s.work.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.settings.Load().limits.CertificateCheck):
		}
		s.checkCertificates()
	}
}

func (s *Server) checkCertificates() {
	if !s.mu.TryLock() { // a reload or a drain is under way
		return
	}
	defer s.mu.Unlock()
	c := s.certificates.Load()
	if c == nil || !c.changed() {
		return
	}
	if err := c.load(); err != nil {
		s.log.Error("new certificate refused, the old one stays", "error", err)
		return
	}
	end, _ := c.state()
	s.log.Info("new certificate in use", "file", c.certFile, "ends", end)
}
