package tap

import (
	"anyu/event"
	"anyu/watch/tap/capture"
)

// FromCapture makes a message of a captured one, whose octets it borrows. The header says which side asked.
func (m *Message) FromCapture(c *capture.Message) {
	*m = Message{Kind: Client, Reply: IsReply(c.Wire), Has: event.HasClient | event.HasServer, Time: c.Time, Wire: c.Wire, Hop: c.Hop}
	if c.Time != 0 {
		m.Has |= event.HasTime
	}
	if c.TCP {
		m.Transport = event.TCP
	}
	m.Client, m.ClientPort, m.Server, m.ServerPort = c.From, c.FromPort, c.To, c.ToPort
	if m.Reply {
		m.Client, m.ClientPort, m.Server, m.ServerPort = c.To, c.ToPort, c.From, c.FromPort
	}
}

// ToCapture makes a captured message, which borrows m's octets. An address that is not known is the wildcard of the other's family.
func (m *Message) ToCapture(c *capture.Message) {
	*c = capture.Message{Time: m.Time, From: m.Client, FromPort: m.ClientPort, To: m.Server, ToPort: m.ServerPort, TCP: m.Transport != event.UDP, Hop: m.Hop, Wire: m.Wire}
	if m.Has&event.HasClient == 0 && (m.Has&event.HasServer == 0 || len(octets(&m.Server)) == 4) {
		c.From = [16]byte{10: 0xFF, 11: 0xFF}
	}
	if m.Has&event.HasServer == 0 && len(octets(&c.From)) == 4 {
		c.To = [16]byte{10: 0xFF, 11: 0xFF}
	}
	if m.Reply {
		c.From, c.FromPort, c.To, c.ToPort = c.To, c.ToPort, c.From, c.FromPort
	}
}
