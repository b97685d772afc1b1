package cache

import (
	"anyu/dns/message"
	"anyu/dns/wire"
)

// packetVariants is how many finished forms of an answer there are: with and without DO and CD.
const packetVariants = 4

// ForgetPackets drops the finished forms of an answer, so that the next who asks gets one made of what the cache has now. It returns
// how many there were.
func (c *Cache) ForgetPackets(q message.Question) int {
	n := 0
	var room [keyRoom]byte
	for v := range uint8(packetVariants) {
		n += c.removeKey(kindPacket, AppendKey(room[:0], q, v))
	}
	return n
}

// Forget drops the answer to a question in one variant, not its failures.
func (c *Cache) Forget(q message.Question, variant uint8) int {
	return c.remove(kindAnswer, q, variant) + c.remove(kindNoName, q, variant)
}

// ForgetRRset drops an RRset, so that the next one starts a new life.
func (c *Cache) ForgetRRset(name wire.Name, t wire.Type) int {
	var room [keyRoom]byte
	return c.removeKey(kindRRset, appendSetKey(room[:0], name, t))
}
