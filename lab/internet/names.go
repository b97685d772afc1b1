package internet

import (
	"bytes"

	"anyu/dns/wire"
)

// Words are the labels of registered names: four syllables of one of these consonants and vowels each. Both are in order, so that the order of
// words is the order of their numbers and a neighbour in a zone of millions is found without a list.
const (
	consonants = "bcdfghjklmnprstz"
	vowels     = "aeiou"
	syllables  = len(consonants) * len(vowels)
	wordParts  = 4
	wordLength = 2 * wordParts
	words      = syllables * syllables * syllables * syllables
)

// word is the label of a number below words.
func word(n int) string {
	var b [wordLength]byte
	for i := wordParts - 1; i >= 0; i-- {
		s := n % syllables
		n /= syllables
		b[2*i], b[2*i+1] = consonants[s/len(vowels)], vowels[s%len(vowels)]
	}
	return string(b[:])
}

// rank counts the words before text in canonical order (RFC 4034, Section 6.1); exact tells that text is itself a word.
func rank(text []byte) (below int, exact bool) {
	weight := words
	for i := range wordParts {
		weight /= syllables
		rest := text[min(2*i, len(text)):]
		n, same := rankSyllable(rest)
		below += n * weight
		if !same {
			return below, false
		}
	}
	if len(text) > wordLength {
		return below + 1, false // the word is a prefix of text and so before it
	}
	return below, true
}

// rankSyllable counts the syllables before the first two octets of text.
func rankSyllable(text []byte) (below int, same bool) {
	if len(text) == 0 {
		return 0, false
	}
	c := countBelow(consonants, text[0])
	if c == len(consonants) || consonants[c] != text[0] {
		return c * len(vowels), false
	}
	if len(text) == 1 {
		return c * len(vowels), false
	}
	v := countBelow(vowels, text[1])
	return c*len(vowels) + v, v < len(vowels) && vowels[v] == text[1]
}

func countBelow(sorted string, b byte) int {
	n := 0
	for n < len(sorted) && sorted[n] < b {
		n++
	}
	return n
}

// stretch is a run of registered names in a registry's zone: count words, one in each of as many equal parts of all words.
type stretch struct {
	prefix []byte // key of the name they stand under, relative to the zone
	seed   uint64
	first  int // number of the first among all registered names of the world
	count  int
	under  wire.Name
	number int // of the stretch
}

// at is the number of word j.
func (s *stretch) at(j int) int {
	stride := words / s.count
	return j*stride + int(mix(s.seed, uint64(j))%uint64(stride))
}

// before counts the words of the stretch that are smaller than the word with number n.
func (s *stretch) before(n int) int {
	j := n / (words / s.count)
	if j >= s.count {
		return s.count
	}
	if s.at(j) < n {
		j++
	}
	return j
}

// find returns which word of the stretch a label is.
func (s *stretch) find(label []byte) (int, bool) {
	n, exact := rank(label)
	if !exact {
		return 0, false
	}
	j := n / (words / s.count)
	return j, j < s.count && s.at(j) == n
}

// key is the sort key of word j relative to the zone.
func (s *stretch) key(j int) []byte {
	k := append(append([]byte(nil), s.prefix...), word(s.at(j))...)
	return append(k, 0)
}

// place counts the names of the stretch whose keys are smaller than key.
func (s *stretch) place(key []byte) int {
	if !bytes.HasPrefix(key, s.prefix) {
		if bytes.Compare(key, s.prefix) < 0 {
			return 0
		}
		return s.count
	}
	rest := key[len(s.prefix):]
	label, below, _ := bytes.Cut(rest, []byte{0})
	n, exact := rank(label)
	if exact && len(below) > 0 {
		n++ // a name below the word comes after it
	}
	return s.before(n)
}

// name is the whole name of word j.
func (s *stretch) name(j int) wire.Name {
	n := append(make(wire.Name, 0, 1+wordLength+len(s.under)), wordLength)
	return append(append(n, word(s.at(j))...), s.under...)
}

// mix makes a number of numbers, as random as a seed can be.
func mix(v ...uint64) uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, x := range v {
		h = (h ^ x) + 0x9E3779B97F4A7C15 // splitmix64, chained
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}

// digest makes a number of octets (FNV-1a).
func digest(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
