package zone

// Bounds on what a master file or a transfer can make us do. Each is far above what real zones need.
const (
	// maxRecordText bounds the text of one record with its continuation lines; stops a file that opens a parenthesis and
	// never closes it from being held in memory. 65,535 octets of RDATA written as \DDD are 256 KiB.
	maxRecordText = 1 << 20

	// maxIncludeDepth and maxIncludes stop a file that includes itself, and a tree of includes that doubles at each level.
	maxIncludeDepth = 8
	maxIncludes     = 10_000

	// maxGenerate bounds the records that all $GENERATE lines of one load make; stops `$GENERATE 0-4294967295`.
	maxGenerate = 1 << 22

	// maxRData is the most RDLENGTH can say (RFC 1035, Section 3.2.1).
	maxRData = 65535

	// maxWarnings bounds the warnings kept; the rest are counted in the last one.
	maxWarnings = 200

	// maxTTL: a TTL has 31 bits; one with the top bit set counts as 0 (RFC 2181, Section 8).
	maxTTL = 1<<31 - 1
)
