package column

import (
	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
)

// maxBloom bounds a filter (stops: a length beyond the file); those of the log have 10 bits a value.
const maxBloom = 1 << 30

// Lacks tells, from the column's bloom filter, that no row has a text. Without a filter, or with one that cannot be read, it rules nothing out.
//
// Parquet, Bloom Filter: there is one algorithm (split block), one hash (xxHash) and one compression (none), so that the header, which is shorter than a block, tells the
// size only, and the footer has that too.
func (r *Reader) Lacks(k *Chunk, text string) bool {
	at, hash, ok := k.bloomBlock(text)
	if !ok {
		return false
	}
	var block bloom.Block
	if _, err := r.open.from.ReadAt(block.Bytes(), at); err != nil {
		return false
	}
	return !block.Check(hash)
}

// bloomBlock is where the block for a text is in the file, and what it is asked.
func (k *Chunk) bloomBlock(text string) (at int64, lower uint32, ok bool) {
	octets := k.bloomOctets &^ (bloom.BlockSize - 1)
	if k.bloomAt <= 0 || octets <= 0 || octets > maxBloom {
		return 0, 0, false
	}
	hash := xxhash.Sum64([]byte(text))
	// The upper half of the hash, as a fraction, chooses the block.
	at = k.bloomAt + k.bloomOctets - octets + bloom.BlockSize*int64(hash>>32*uint64(octets/bloom.BlockSize)>>32)
	return at, uint32(hash), true
}
