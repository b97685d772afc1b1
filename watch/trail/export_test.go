package trail

import "anyu/event"

// RowOf is the row that an observation becomes.
func RowOf(q *event.Query) Row {
	keeps := leaveOut(nil).packing()
	var p packed
	if _, ok := p.next(keeps.pack(nil, q)); !ok {
		panic("what was packed is no row")
	}
	names := event.NewNames()
	return newTranslator(names.Name, func(uint16) (string, string) { return "self", "n1" }).row(&p)
}
