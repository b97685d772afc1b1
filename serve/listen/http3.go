package listen

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"anyu/event"
)

// controlStreams are the streams that HTTP/3 itself opens: control, QPACK encoder and decoder (RFC 9114, Section 6.2), and
// one more for a reserved type that clients may try.
const controlStreams = 4

func (s *Server) serveHTTP3(c net.PacketConn) (endpoint, error) {
	limits := s.settings.Load().limits
	h := &http3.Server{
		Handler:        &dohHandler{server: s},
		MaxHeaderBytes: httpHeaders,
		IdleTimeout:    limits.Idle,
		Logger:         slog.New(slog.DiscardHandler),
		ConnContext: func(ctx context.Context, c *quic.Conn) context.Context {
			if m, ok := c.Context().Value(memberKey{}).(*member); ok {
				ctx = context.WithValue(ctx, memberKey{}, m)
			}
			return ctx
		},
	}
	e := &quicListener{
		kind:   event.HTTPS,
		serve:  func(c *quicConn) { _ = h.ServeQUICConn(c.Conn) }, // its error is why the client left
		finish: func(ctx context.Context) { _ = h.Shutdown(ctx) },
		codes:  closeCodes{quic.ApplicationErrorCode(http3.ErrCodeNoError), quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad)},
	}
	return s.listenQUIC(e, c, http3.ConfigureTLSConfig(s.tlsConfig(tls.VersionTLS13)), controlStreams)
}
