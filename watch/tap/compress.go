package tap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// maxLayers bounds compression inside compression.
	maxLayers = 2
	// maxWindow bounds the memory a zstd frame may ask for (stops: a header that claims gigabytes).
	maxWindow = 128 << 20
	peekSize  = 16
)

// plain takes the compression off, told by the first octets.
func plain(in io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(in, 64<<10)
	for range maxLayers + 1 {
		head, err := b.Peek(peekSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		var inner io.Reader
		switch {
		case bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
			inner, err = gzip.NewReader(b)
		case bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
			inner, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		case bytes.HasPrefix(head, []byte{0x04, 0x22, 0x4D, 0x18}):
			inner = lz4.NewReader(b)
			err = nil
		case bytes.HasPrefix(head, []byte{0xFD, '7', 'z', 'X', 'Z', 0}):
			return nil, errors.New("xz is not read here: xz -dc FILE | anyu tap -")
		default:
			return b, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		b = bufio.NewReaderSize(inner, 64<<10)
	}
	return nil, fmt.Errorf("compressed more than %d times", maxLayers)
}
