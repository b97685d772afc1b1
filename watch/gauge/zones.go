package gauge

// Zones is how many zones are counted by name: the first that are asked for. More are counted together as "other", so
// that a server of a million zones has a history it can hold (and the counter of a name never changes its meaning).
const Zones = 1000

// maxZoneID bounds the index from the numbers of event.Names to slots: 4 MiB at most.
const maxZoneID = 2 << 20

// zoneSlots gives zones their slots.
type zoneSlots struct {
	index    []uint16        // by number of the zone; 0 is not seen yet, or other
	ids      []uint32        // by slot; ids[0] is "other"
	distinct []*zoneDistinct // by slot
}

const (
	zoneStep      = 10 // seconds
	zoneSteps     = 3600 / zoneStep
	zoneSpeedStep = 300
)

// zoneHour is the last hour of a zone at one source: counts in steps of ten seconds, 9 kB, speed in steps of five minutes, up to 23 kB.
type zoneHour struct {
	counts [zoneSteps]zoneCell
	speed  [3600 / zoneSpeedStep]*speedStep
}

type zoneCell struct {
	step     uint32 // Unix time / zoneStep
	outcomes [outcomes]uint32
	nx       uint32
}

// of is the slot of a zone, given now if there is one left.
func (z *zoneSlots) of(id uint32) int {
	if int(id) < len(z.index) {
		if slot := z.index[id]; slot != 0 {
			return int(slot)
		}
	}
	return z.give(id)
}

func (z *zoneSlots) give(id uint32) int {
	if len(z.ids) == 0 {
		z.ids = append(z.ids, 0)
	}
	if id >= maxZoneID || len(z.ids) > Zones {
		return 0
	}
	for int(id) >= len(z.index) {
		z.index = append(z.index, make([]uint16, 1024)...)
	}
	slot := len(z.ids)
	z.ids = append(z.ids, id)
	z.index[id] = uint16(slot)
	return slot
}

// slot is the first slot of a name that fits; 0 is none.
func (z *zoneSlots) slot(fits func(slot int) bool) int {
	for slot := 1; slot < len(z.ids); slot++ {
		if fits(slot) {
			return slot
		}
	}
	return 0
}

// zone is the hour of a zone at a source.
func (s *source) zone(slot int) *zoneHour {
	if slot >= len(s.zones) || s.zones[slot] == nil {
		for slot >= len(s.zones) {
			s.zones = append(s.zones, nil)
		}
		s.zones[slot] = new(zoneHour)
	}
	return s.zones[slot]
}

func (h *zoneHour) add(sec int64, o Outcome, rcode int) {
	step := uint32(sec / zoneStep)
	c := &h.counts[step%zoneSteps]
	if c.step != step {
		*c = zoneCell{step: step}
	}
	c.outcomes[o]++
	if rcode == rcodeNX {
		c.nx++
	}
}

// speedAt is the step of speed that a second is in.
func (h *zoneHour) speedAt(second int64) *speedStep {
	at := second / zoneSpeedStep
	s := h.speed[at%int64(len(h.speed))]
	if s == nil {
		s = &speedStep{at: at}
		h.speed[at%int64(len(h.speed))] = s
	} else if s.at != at {
		*s = speedStep{at: at}
	}
	return s
}
