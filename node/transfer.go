package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"anyu/config"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/transfer"
)

// moves joins the room that moves zones with the server that answers for them.
type moves struct {
	room   *transfer.Room
	names  *event.Names
	server *serve.Server
	log    *slog.Logger
	serves func(name wire.Name, fresh *zone.Zone, known time.Time)

	mu   sync.Mutex
	conf map[string]config.Zone // secondaries, by canonical name
}

func (n *Node) openMoves() *moves {
	m := &moves{names: n.names, serves: n.serves, log: n.opts.Log, conf: map[string]config.Zone{}}
	m.room = transfer.New(transfer.Options{
		Dir: n.data.Path(journalDir), Publish: m.publish, Withdraw: m.withdraw, Findings: n.findings, Node: n.conf().Node, Log: n.opts.Log,
	})
	return m
}

// Message and Stream implement serve.Transfers.
func (m *moves) Message(msg []byte, q *wire.Query, from *listen.Client, out []byte, inner func(q, out []byte, room int) int) (int, wire.Rcode) {
	return m.room.Message(msg, q, from, out, inner)
}

func (m *moves) Stream(msg []byte, from *listen.Client, send func([]byte) error) (serve.Streamed, error) {
	done, err := m.room.Stream(msg, from, send)
	s := serve.Streamed{Rcode: done.Rcode, Bytes: done.Bytes, First: done.First}
	if done.Zone != nil {
		s.Zone = m.names.ID(done.Zone.String())
	}
	return s, err
}

// publish puts versions of secondaries into service. The lock holds off a reload, whose lists of who may ask would be lost.
func (m *moves) publish(list []transfer.Served) {
	var c serve.Change
	m.mu.Lock()
	for _, s := range list {
		z := serve.Zone{Name: s.Name, Zone: s.Zone, Why: s.Why, Expires: s.Expires}
		if conf, ok := settings(m.conf, s.Name, s.Catalog); ok {
			z.Allow = allowQuery(conf)
		}
		c.Put = append(c.Put, z)
	}
	m.server.Change(c)
	m.mu.Unlock()
	for _, s := range list {
		if s.Zone != nil && !s.Heard.IsZero() {
			m.serves(s.Name, s.Zone, s.Heard)
		}
	}
	if err := m.copies(list); err != nil {
		m.log.Warn("no readable copy of a zone", "error", err)
	}
}

func (m *moves) withdraw(names []wire.Name) { m.server.Change(serve.Change{Remove: names}) }

func (m *moves) configured(name wire.Name) (config.Zone, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.conf[canonical(name)]
	return c, ok
}

// take puts a plan into effect.
func (m *moves) take(p *plan) {
	m.mu.Lock()
	m.conf = p.conf
	m.mu.Unlock()
	m.room.Configure(p.zones, p.keys)
	// Secondaries that stay get their new lists of who may ask.
	catalogs := m.room.Catalogs()
	m.server.Allow(func(name wire.Name) (*filter.ACL, bool) {
		conf, ok := settings(p.conf, name, catalogs[string(name.AppendLower(nil))])
		return allowQuery(conf), ok
	})
}

// settings are those of a zone itself or, for a member, those of its catalog.
func settings(conf map[string]config.Zone, name wire.Name, catalog string) (config.Zone, bool) {
	c, ok := conf[canonical(name)]
	if !ok && catalog != "" {
		c, ok = conf[catalog]
	}
	return c, ok
}

// copies writes readable copies of secondaries whose zone names a file.
func (m *moves) copies(list []transfer.Served) error {
	var errs []error
	for _, s := range list {
		conf, ok := m.configured(s.Name)
		if !ok || conf.File == "" || s.Zone == nil {
			continue
		}
		if err := writeCopy(conf.File, s.Zone); err != nil {
			errs = append(errs, fmt.Errorf("writing the copy of %v: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

func writeCopy(file string, z *zone.Zone) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriterSize(io.Writer(f), 1<<18)
	err = errors.Join(z.WriteText(b), b.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}

// states are the zones that the other servers brought, and what the transfers of all zones did.
func (m *moves) states(list []ZoneState) []ZoneState {
	at := map[string]int{}
	for i := range list {
		at[list[i].Name] = i
	}
	for _, s := range m.room.States() {
		if i, ok := at[s.Name]; ok {
			list[i].Moves = &s
			continue
		}
		list = append(list, ZoneState{
			Name: s.Name, Role: s.Role, State: secondaryState(&s), Serial: s.Serial, Names: s.Names, Records: s.Records, Bytes: s.Octets,
			Signed: s.Signed, Loaded: s.Loaded, Took: s.In.Took, Error: s.Error, Source: s.Primary, Refresh: s.Next, Expire: s.Expires, Moves: &s,
		})
	}
	return list
}

func secondaryState(s *transfer.State) string {
	switch {
	case s.Expired:
		return "expired"
	case !s.Loaded.IsZero():
		return "ok"
	case s.Error != "":
		return "missing"
	}
	return "loading"
}
