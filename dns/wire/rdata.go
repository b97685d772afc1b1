package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrRData says that RDATA does not have the shape its type demands.
var ErrRData = errors.New("RDATA does not fit its type")

// Layouts tell where domain names stand in RDATA and how long the fixed parts are. One letter a field:
//
//	n  name that may be compressed when sent (RFC 3597, Section 4: the types of RFC 1035)
//	N  name, never compressed when sent, decompressed when received
//	1 2 4 6 8 q  so many octets (q is 16)
//	s  character string: length octet and octets
//	S  one or more character strings to the end
//	b  type bitmap to the end (RFC 4034, Section 4.1.2)
//	v  SvcParams to the end (RFC 9460, Section 2.2)
//	x  anything to the end
//
// A type without an entry is opaque.
var layouts = map[Type]string{
	TypeA: "4", TypeAAAA: "q", TypeNS: "n", TypeMD: "n", TypeMF: "n", TypeCNAME: "n", TypeSOA: "nn44444", TypeMB: "n",
	TypeMG: "n", TypeMR: "n", TypePTR: "n", TypeHINFO: "ss", TypeMINFO: "nn", TypeMX: "2n", TypeTXT: "S", TypeSPF: "S",
	TypeNINFO: "S", TypeAVC: "S", TypeRESINFO: "S", TypeWALLET: "S", TypeCLA: "S", TypeRP: "NN", TypeAFSDB: "2N", TypeX25: "s", TypeRT: "2N",
	TypeNSAPPTR: "N", TypeSIG: "2114442Nx", TypePX: "2NN", TypeNXT: "Nx", TypeSRV: "222N", TypeNAPTR: "22sssN", TypeKX: "2N",
	TypeDNAME: "N", TypeDS: "211x", TypeCDS: "211x", TypeDLV: "211x", TypeTA: "211x", TypeSSHFP: "11x", TypeRRSIG: "2114442Nx",
	TypeNSEC: "Nb", TypeDNSKEY: "211x", TypeCDNSKEY: "211x", TypeKEY: "211x", TypeNSEC3: "112ssb", TypeNSEC3PARAM: "112s",
	TypeTLSA: "111x", TypeSMIMEA: "111x", TypeCERT: "221x", TypeCSYNC: "42b", TypeZONEMD: "411x", TypeSVCB: "2Nv", TypeHTTPS: "2Nv",
	TypeCAA: "1sx", TypeURI: "22x", TypeEUI48: "6", TypeEUI64: "8", TypeNID: "28", TypeL32: "24", TypeL64: "28", TypeLP: "2N",
	TypeTALINK: "NN", TypeGPOS: "sss", TypeUID: "4", TypeGID: "4", TypeRKEY: "211x", TypeDSYNC: "212N",
}

// common holds the layouts of low type numbers, so that the usual lookup is an array read.
var common = func() (t [66]string) {
	for k, v := range layouts {
		if int(k) < len(t) {
			t[k] = v
		}
	}
	return
}()

func layoutOf(t Type) string {
	if int(t) < len(common) {
		return common[t]
	}
	return layouts[t]
}

// lowered tells for which types names in RDATA are in lower case in the canonical form (RFC 4034, Section 6.2 as amended by
// RFC 6840, Section 5.1: NSEC is not among them; HINFO holds no names).
func lowered(t Type) bool {
	switch t {
	case TypeNS, TypeMD, TypeMF, TypeCNAME, TypeSOA, TypeMB, TypeMG, TypeMR, TypePTR, TypeMINFO, TypeMX, TypeRP, TypeAFSDB,
		TypeRT, TypeSIG, TypePX, TypeNXT, TypeNAPTR, TypeKX, TypeSRV, TypeDNAME, TypeRRSIG:
		return true
	}
	return false
}

// fieldEnd returns the offset after the field f at off in b, for fields that hold no name.
func fieldEnd(f byte, b []byte, off int) (int, error) {
	n := 0
	switch f {
	case '1', '2', '4', '6', '8':
		n = int(f - '0')
	case 'q':
		n = 16
	case 's':
		if off >= len(b) {
			return 0, ErrRData
		}
		n = int(b[off]) + 1
	case 'S':
		if off >= len(b) {
			return 0, ErrRData
		}
		for off < len(b) {
			off += int(b[off]) + 1
		}
	case 'b':
		return bitmapEnd(b, off)
	case 'v':
		return svcParamsEnd(b, off)
	case 'x':
		return len(b), nil
	}
	if off+n > len(b) {
		return 0, ErrRData
	}
	return off + n, nil
}

// RFC 4034, Section 4.1.2: windows rise, each has 1 to 32 octets.
func bitmapEnd(b []byte, off int) (int, error) {
	for last := -1; off < len(b); {
		if off+2 > len(b) {
			return 0, ErrRData
		}
		window, n := int(b[off]), int(b[off+1])
		if window <= last || n < 1 || n > 32 || off+2+n > len(b) {
			return 0, ErrRData
		}
		last, off = window, off+2+n
	}
	return off, nil
}

// RFC 9460, Section 2.2: keys rise strictly; a client that finds otherwise must reject the RR. (servers.md 5.1, case 77)
func svcParamsEnd(b []byte, off int) (int, error) {
	for last := -1; off < len(b); {
		if off+4 > len(b) {
			return 0, ErrRData
		}
		key, n := int(binary.BigEndian.Uint16(b[off:])), int(binary.BigEndian.Uint16(b[off+2:]))
		if key <= last || off+4+n > len(b) {
			return 0, ErrRData
		}
		last, off = key, off+4+n
	}
	return off, nil
}

// CheckRData tells whether uncompressed RDATA has the shape of its type. All octets must be used.
func CheckRData(t Type, rdata []byte) error {
	layout := layoutOf(t)
	if layout == "" {
		return nil
	}
	off := 0
	for i := range len(layout) {
		var err error
		if f := layout[i]; f == 'n' || f == 'N' {
			off, err = skipLabels(rdata, off)
		} else {
			off, err = fieldEnd(f, rdata, off)
		}
		if err != nil {
			return fmt.Errorf("%v: %w", t, ErrRData)
		}
	}
	if off != len(rdata) {
		return fmt.Errorf("%v: %w", t, ErrRData)
	}
	return nil
}

// UnpackRData appends the RDATA at msg[off:off+length] to dst with its names decompressed, case kept, and checks its shape.
// A name may not leave the record (servers.md 3.2, malformed rdata).
func UnpackRData(msg []byte, t Type, off, length int, dst []byte) ([]byte, error) {
	end := off + length
	if length < 0 || end > len(msg) {
		return dst, ErrShort
	}
	layout := layoutOf(t)
	if layout == "" {
		return append(dst, msg[off:end]...), nil
	}
	for i := range len(layout) {
		f := layout[i]
		if f == 'n' || f == 'N' {
			var next int
			var err error
			dst, next, err = UnpackName(msg[:end], off, dst)
			if err != nil || next > end {
				return dst, fmt.Errorf("%v: %w", t, ErrRData)
			}
			off = next
			continue
		}
		next, err := fieldEnd(f, msg[:end], off)
		if err != nil {
			return dst, fmt.Errorf("%v: %w", t, err)
		}
		dst = append(dst, msg[off:next]...)
		off = next
	}
	if off != end {
		return dst, fmt.Errorf("%v: %w", t, ErrRData)
	}
	return dst, nil
}

// RDataNames calls yield with the place of each domain name in valid uncompressed RDATA.
func RDataNames(t Type, rdata []byte, yield func(start, end int)) {
	layout := layoutOf(t)
	off := 0
	for i := range len(layout) {
		var next int
		var err error
		f := layout[i]
		if f == 'n' || f == 'N' {
			if next, err = skipLabels(rdata, off); err == nil {
				yield(off, next)
			}
		} else {
			next, err = fieldEnd(f, rdata, off)
		}
		if err != nil {
			return
		}
		off = next
	}
}

// AppendCanonical appends RDATA in canonical form (RFC 4034, Section 6.2).
func AppendCanonical(dst []byte, t Type, rdata []byte) []byte {
	at := len(dst)
	dst = append(dst, rdata...)
	if lowered(t) {
		RDataNames(t, rdata, func(start, end int) {
			for i := at + start; i < at+end; i++ {
				dst[i] = lower[dst[i]]
			}
		})
	}
	return dst
}
