package zone

import "anyu/dns/wire"

// A layout is the presentation form of a type's RDATA, one letter a field; the same letters read and write it.
//
//	n      domain name
//	1 2 4 8  decimal number of so many octets
//	t      time span of 4 octets: 3600 or 1h
//	d      date of 4 octets (RFC 4034, Section 3.2)
//	a 6    IPv4, IPv6 address
//	s      character string (RFC 1035, Section 3.3)
//	w      the same, written without quotes: the tag of CAA
//	S      one or more of them to the end
//	x      quoted text to the end without a length octet
//	h B    hexadecimal, base64, to the end; at least one octet
//	b      base64 to the end, or "-" for nothing (DOA)
//	H      length octet and hexadecimal in one word, "-" for nothing
//	3      length octet and base32hex in one word
//	T      mnemonic of an RR type
//	g c    mnemonic or number of a DNSSEC algorithm, of a certificate type
//	y      mnemonic or number of a DSYNC scheme
//	m      type bitmap to the end
//	v      SvcParams to the end
//	i      64 bits as four groups of hexadecimal digits with colons
//	e E    48, 64 bits as octets with hyphens
//	z      NSAP address: 0x and hexadecimal with dots
const (
	layoutNone    = ""  // unknown type: only \# (RFC 3597, Section 5)
	layoutSpecial = "*" // see special.go
)

var layouts = map[wire.Type]string{
	wire.TypeA: "a", wire.TypeNS: "n", wire.TypeMD: "n", wire.TypeMF: "n", wire.TypeCNAME: "n", wire.TypeSOA: "nn4tttt",
	wire.TypeMB: "n", wire.TypeMG: "n", wire.TypeMR: "n", wire.TypePTR: "n", wire.TypeHINFO: "ss", wire.TypeMINFO: "nn",
	wire.TypeMX: "2n", wire.TypeTXT: "S", wire.TypeRP: "nn", wire.TypeAFSDB: "2n", wire.TypeX25: "s", wire.TypeISDN: "S",
	wire.TypeRT: "2n", wire.TypeNSAP: "z", wire.TypeNSAPPTR: "n", wire.TypeSIG: "Tg1tdd2nB", wire.TypeKEY: "21gB",
	wire.TypePX: "2nn", wire.TypeGPOS: "sss", wire.TypeAAAA: "6", wire.TypeLOC: layoutSpecial, wire.TypeNXT: layoutSpecial,
	wire.TypeEID: "h", wire.TypeNIMLOC: "h", wire.TypeSRV: "222n", wire.TypeNAPTR: "22sssn", wire.TypeKX: "2n",
	wire.TypeCERT: "c2gB", wire.TypeDNAME: "n", wire.TypeSINK: "11B", wire.TypeAPL: layoutSpecial, wire.TypeDS: "2g1h",
	wire.TypeSSHFP: "11h", wire.TypeIPSECKEY: layoutSpecial, wire.TypeRRSIG: "Tg1tdd2nB", wire.TypeNSEC: "nm",
	wire.TypeDNSKEY: "21gB", wire.TypeDHCID: "B", wire.TypeNSEC3: "112H3m", wire.TypeNSEC3PARAM: "112H", wire.TypeTLSA: "111h",
	wire.TypeSMIMEA: "111h", wire.TypeHIP: layoutSpecial, wire.TypeNINFO: "S", wire.TypeRKEY: "21gB", wire.TypeTALINK: "nn",
	wire.TypeCDS: "2g1h", wire.TypeCDNSKEY: "21gB", wire.TypeOPENPGPKEY: "B", wire.TypeCSYNC: "42m", wire.TypeZONEMD: "411h",
	wire.TypeSVCB: "2nv", wire.TypeHTTPS: "2nv", wire.TypeDSYNC: "Ty2n", wire.TypeHHIT: "B", wire.TypeBRID: "B",
	wire.TypeSPF: "S", wire.TypeUINFO: "s", wire.TypeUID: "4", wire.TypeGID: "4", wire.TypeNID: "2i", wire.TypeL32: "2a",
	wire.TypeL64: "2i", wire.TypeLP: "2n", wire.TypeEUI48: "e", wire.TypeEUI64: "E", wire.TypeURI: "22x", wire.TypeCAA: "1wx",
	wire.TypeAVC: "S", wire.TypeDOA: "441sb", wire.TypeAMTRELAY: layoutSpecial, wire.TypeRESINFO: "S", wire.TypeWALLET: "S",
	wire.TypeCLA: "S", wire.TypeIPN: "8", wire.TypeTA: "2g1h", wire.TypeDLV: "2g1h", wire.TypeWKS: layoutSpecial,
	wire.TypeATMA: layoutSpecial, typeALIAS: "n",
}

// typeALIAS is a private type number that several servers give the name ALIAS.
const typeALIAS wire.Type = 65401

// commonLayouts makes the look-up of usual types an array read.
var commonLayouts = func() (t [66]string) {
	for k, v := range layouts {
		if int(k) < len(t) {
			t[k] = v
		}
	}
	return
}()

func layoutOf(t wire.Type) string {
	if int(t) < len(commonLayouts) {
		return commonLayouts[t]
	}
	return layouts[t]
}

// The IANA registry of DNSSEC algorithm numbers, with the spellings that zone files use.
var algorithmNumbers = map[string]uint8{
	"RSAMD5": 1, "DH": 2, "DSA": 3, "ECC": 4, "RSASHA1": 5, "DSA-NSEC3-SHA1": 6, "NSEC3DSA": 6, "RSASHA1-NSEC3-SHA1": 7, "NSEC3RSASHA1": 7,
	"RSASHA256": 8, "RSASHA512": 10, "ECC-GOST": 12, "ECCGOST": 12, "ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15,
	"ED448": 16, "SM2SM3": 17, "ECC-GOST12": 23, "INDIRECT": 252, "PRIVATEDNS": 253, "PRIVATEOID": 254,
}

// RFC 4398, Section 2.1.
var certNumbers = map[string]uint16{
	"PKIX": 1, "SPKI": 2, "PGP": 3, "IPKIX": 4, "ISPKI": 5, "IPGP": 6, "ACPKIX": 7, "IACPKIX": 8, "URI": 253, "OID": 254,
}

// parseType reads the mnemonic of a type or TYPE123. The usual ones are recognised without a map.
func parseType(b []byte) (wire.Type, bool) {
	if len(b) <= 8 {
		var v uint64
		for _, c := range b {
			if c >= 'a' && c <= 'z' {
				c -= 32
			}
			v = v<<8 | uint64(c)
		}
		switch v {
		case 'A':
			return wire.TypeA, true
		case 'N'<<8 | 'S':
			return wire.TypeNS, true
		case 'D'<<8 | 'S':
			return wire.TypeDS, true
		case 'M'<<8 | 'X':
			return wire.TypeMX, true
		case 'T'<<16 | 'X'<<8 | 'T':
			return wire.TypeTXT, true
		case 'P'<<16 | 'T'<<8 | 'R':
			return wire.TypePTR, true
		case 'S'<<16 | 'O'<<8 | 'A':
			return wire.TypeSOA, true
		case 'A'<<24 | 'A'<<16 | 'A'<<8 | 'A':
			return wire.TypeAAAA, true
		case 'N'<<24 | 'S'<<16 | 'E'<<8 | 'C':
			return wire.TypeNSEC, true
		case 'N'<<32 | 'S'<<24 | 'E'<<16 | 'C'<<8 | '3':
			return wire.TypeNSEC3, true
		case 'R'<<32 | 'R'<<24 | 'S'<<16 | 'I'<<8 | 'G':
			return wire.TypeRRSIG, true
		case 'C'<<32 | 'N'<<24 | 'A'<<16 | 'M'<<8 | 'E':
			return wire.TypeCNAME, true
		case 'A'<<32 | 'L'<<24 | 'I'<<16 | 'A'<<8 | 'S':
			return typeALIAS, true
		}
	}
	return wire.ParseType(string(b))
}

// parseClass reads the mnemonic of a class or CLASS123.
func parseClass(b []byte) (wire.Class, bool) {
	if len(b) == 2 {
		switch (uint16(b[0])<<8 | uint16(b[1])) &^ 0x2020 {
		case 'I'<<8 | 'N':
			return wire.ClassIN, true
		case 'C'<<8 | 'H':
			return wire.ClassCH, true
		case 'H'<<8 | 'S':
			return wire.ClassHS, true
		}
	}
	if len(b) > 5 && upperEqual(b[:5], "CLASS") {
		v, ok := parseNumber(b[5:], 65535)
		return wire.Class(v), ok
	}
	return 0, false
}

// upperEqual tells whether b in upper case is s.
func upperEqual(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 32
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
