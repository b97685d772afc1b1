package cache

import "anyu/dns/message"

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
