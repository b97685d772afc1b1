package dnssec

// Security is what a validator knows of data (RFC 4033, Section 5; RFC 4035, Section 4.3). The order matters: what is made of several
// parts is as good as the worst of them, their minimum.
type Security uint8

const (
	Unchecked     Security = iota // nobody looked yet
	Bogus                         // there should be a chain of trust, and it does not hold
	Indeterminate                 // no trust anchor says whether there should be one
	Insecure                      // proved to have none
	Secure
)

var securityNames = [...]string{"unchecked", "bogus", "indeterminate", "insecure", "secure"}

func (s Security) String() string { return securityNames[s] }
