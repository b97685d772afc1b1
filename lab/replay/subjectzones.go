package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve"
	"anyu/serve/resolve"
)

// hold loads a zone that is held here, and puts it into service as far as its digest lets it.
func (x *Subject) hold(a AuthZone) error {
	primaries := len(a.Primaries)+len(a.PrimaryHosts) > 0
	if len(a.AllowNotify) > 0 {
		return notModelled("notify")
	}
	text, ok := x.settings.Files.Read(a.File)
	if !primaries && (a.File == "" || !ok || len(bytes.TrimSpace(text)) == 0) {
		return fmt.Errorf("zone %s has no file", a.Name)
	}
	var z *zone.Zone
	if len(bytes.TrimSpace(text)) > 0 {
		var err error
		if z, _, err = zone.Load(context.Background(), zone.LoadOptions{Name: a.Name, File: a.File, Workers: 1, Open: x.open}); err != nil {
			x.withdraw(a, err.Error())
		} else if err := x.accept(a, z); err != nil {
			x.withdraw(a, err.Error())
			z = nil
		} else {
			x.put(a, z)
		}
	} else {
		x.withdraw(a, "zone is not fetched yet")
	}
	if primaries {
		x.copies = append(x.copies, newSecondary(x, a, z))
	}
	return nil
}

// put serves a version.
func (x *Subject) put(a AuthZone, z *zone.Zone) {
	if a.Upstream {
		x.held.Put(a.Name, z)
	}
	if a.Downstream {
		x.server.Change(serve.Change{Put: []serve.Zone{{Name: wire.Name(a.Name.AppendLower(nil)), Zone: z}}})
	}
	if a.CheckZONEMD && x.validator != nil && x.validator.Secure(a.Name, x.now) {
		x.unchecked = append(x.unchecked, a)
	}
}

// accept is the policy that a version must meet before it is served.
func (x *Subject) accept(a AuthZone, z *zone.Zone) error {
	if why := digest(a, z); why != "" && !x.settings.ZONEMDPermissive {
		return errors.New(why)
	}
	return nil
}

// open opens a file of the run.
func (x *Subject) open(name string) (io.ReadCloser, error) {
	b, ok := x.settings.Files.Read(name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// digest tells why a zone's ZONEMD does not let it be used (RFC 8976, Section 4).
func digest(a AuthZone, z *zone.Zone) string {
	if !a.CheckZONEMD {
		return ""
	}
	switch v, why := z.CheckZONEMD(); {
	case v == zone.ZONEMDFailed:
		return why
	case v == zone.ZONEMDAbsent && a.RejectNoZONEMD:
		return why
	}
	return ""
}

// withdraw takes a zone out of service.
func (x *Subject) withdraw(a AuthZone, why string) {
	x.out = append(x.out, Output{Kind: Note, Text: fmt.Sprintf("zone %s is not used: %s", a.Name, why)})
	if a.Fallback {
		x.held.Remove(a.Name)
		x.server.Change(serve.Change{Remove: []wire.Name{wire.Name(a.Name.AppendLower(nil))}})
		return
	}
	x.held.Put(a.Name, nil)
	if a.Downstream {
		x.server.Change(serve.Change{Put: []serve.Zone{{Name: wire.Name(a.Name.AppendLower(nil)), Why: why}}})
	}
}

// checkHeld has the keys and the ZONEMD of zones held validated, from the trust anchors down, once there is a network.
func (x *Subject) checkHeld() {
	list := x.unchecked
	x.unchecked = nil
	for _, a := range list {
		q := message.Question{Name: a.Name, Type: wire.TypeZONEMD, Class: wire.ClassIN}
		x.engine.Resolve(x.now, q, resolve.Options{Priority: true}, func(r *resolve.Answer) {
			if (r.Security == dnssec.Bogus || r.Rcode == wire.ServFail) && !x.settings.ZONEMDPermissive {
				x.withdraw(a, r.Text)
			}
		})
	}
}
