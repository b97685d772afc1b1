package gauge

// Zones is how many zones are counted by name: the first that are asked for. More are counted together as "other", so
// that a server of a million zones has a history it can hold (and the counter of a name never changes its meaning).
const Zones = 1000

// maxZoneID bounds the index from the numbers of event.Names to slots: 4 MiB at most.
const maxZoneID = 2 << 20

// zoneSlots gives zones their slots and keeps the last hour of each in steps of ten seconds.
type zoneSlots struct {
	index []uint16 // by number of the zone; 0 is not seen yet, or other
	ids   []uint32 // by slot; ids[0] is "other"
	hours []*zoneHour
}

const (
	zoneStep  = 10 // seconds
	zoneSteps = 3600 / zoneStep
)

type zoneHour [zoneSteps]zoneCell

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

func (z *zoneSlots) add(slot int, sec int64, o Outcome, rcode int) {
	if slot >= len(z.hours) || z.hours[slot] == nil {
		z.openHour(slot)
	}
	step := uint32(sec / zoneStep)
	c := &z.hours[slot][step%zoneSteps]
	if c.step != step {
		*c = zoneCell{step: step}
	}
	c.outcomes[o]++
	if rcode == rcodeNX {
		c.nx++
	}
}

func (z *zoneSlots) openHour(slot int) {
	for slot >= len(z.hours) {
		z.hours = append(z.hours, nil)
	}
	z.hours[slot] = new(zoneHour)
}
