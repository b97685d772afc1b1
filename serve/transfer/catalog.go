package transfer

import (
	"errors"
	"fmt"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// errCatalog says that a catalog zone is broken: nothing of it is used (RFC 9432, Section 5.1).
var errCatalog = errors.New("catalog is broken")

// listed is one member as a catalog lists it.
type listed struct {
	name  wire.Name // lower case
	id    string    // the label under "zones"; another one means: forget the zone and begin anew
	owner wire.Name // the catalog that takes it over (coo), nil without
	group []string  // noted, not used
}

// readCatalog reads a catalog zone of version 2 (RFC 9432, Section 4). What it does not know it leaves alone.
func readCatalog(z *zone.Zone, most int) (map[string]*listed, error) {
	members := map[string]*listed{} // by id
	version := ""
	for n := range z.All() {
		if n.IsNSEC3() {
			continue
		}
		labels := relative(n.AppendOwner(nil, z.Apex()), z.Apex())
		var err error
		switch {
		case len(labels) == 1 && labels[0] == "version":
			version, err = oneText(n)
		case len(labels) < 2 || labels[len(labels)-1] != "zones":
		case len(labels) == 2:
			err = property(members, labels[0], n, (*listed).setName)
		case len(labels) == 3 && labels[0] == "coo":
			err = property(members, labels[1], n, (*listed).setOwner)
		case len(labels) == 3 && labels[0] == "group":
			err = property(members, labels[1], n, (*listed).setGroup)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errCatalog, strings.Join(labels, "."), err)
		}
		if len(members) > most {
			return nil, fmt.Errorf("%w: more than %d members", errCatalog, most)
		}
	}
	if version != "2" {
		// RFC 9432, Section 4.2.1
		return nil, fmt.Errorf("%w: version %q, not 2", errCatalog, version)
	}
	return byName(members)
}

// byName turns members around and refuses a name that two ids list (RFC 9432, Section 4.1).
func byName(members map[string]*listed) (map[string]*listed, error) {
	names := make(map[string]*listed, len(members))
	for id, m := range members {
		if m.name == nil {
			continue // properties of no member
		}
		if other := names[string(m.name)]; other != nil {
			return nil, fmt.Errorf("%w: %v is listed twice, as %s and %s", errCatalog, m.name, min(id, other.id), max(id, other.id))
		}
		names[string(m.name)] = m
	}
	return names, nil
}

func property(members map[string]*listed, id string, n zone.Node, set func(*listed, zone.Node) error) error {
	m := members[id]
	if m == nil {
		m = &listed{id: id}
	}
	if err := set(m, n); err != nil {
		return err
	}
	members[id] = m
	return nil
}

// setName: RFC 9432, Section 4.1: one PTR record a member.
func (m *listed) setName(n zone.Node) (err error) {
	m.name, err = onePTR(n)
	return err
}

// setOwner: RFC 9432, Section 4.3.1.
func (m *listed) setOwner(n zone.Node) (err error) {
	m.owner, err = onePTR(n)
	return err
}

// setGroup: RFC 9432, Section 4.3.2.
func (m *listed) setGroup(n zone.Node) error {
	if set, ok := n.Set(wire.TypeTXT); ok {
		for it := set.Iter(); it.Next(); {
			m.group = append(m.group, text(it.RData()))
		}
	}
	return nil
}

// onePTR is the target of the PTR record of a node in lower case, nil without one.
func onePTR(n zone.Node) (wire.Name, error) {
	set, ok := n.Set(wire.TypePTR)
	if !ok {
		return nil, nil
	}
	if set.Len() != 1 {
		return nil, fmt.Errorf("%d PTR records where one may be", set.Len())
	}
	return lowerName(set.First()), nil
}

func oneText(n zone.Node) (string, error) {
	set, ok := n.Set(wire.TypeTXT)
	if !ok {
		return "", nil
	}
	if set.Len() != 1 {
		return "", fmt.Errorf("%d TXT records where one may be", set.Len())
	}
	return text(set.First()), nil
}

// text joins the character strings of TXT RDATA.
func text(rdata []byte) string {
	var b strings.Builder
	for len(rdata) > 0 && int(rdata[0]) < len(rdata) {
		b.Write(rdata[1 : 1+rdata[0]])
		rdata = rdata[1+rdata[0]:]
	}
	return b.String()
}

// relative are the labels of a name below the apex, in lower case.
func relative(owner, apex wire.Name) []string {
	var labels []string
	for i := 0; i < len(owner)-len(apex); i += int(owner[i]) + 1 {
		label := wire.Name(owner[i+1 : i+1+int(owner[i])])
		labels = append(labels, string(label.AppendLower(nil)))
	}
	return labels
}
