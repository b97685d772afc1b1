package resolve

import (
	"anyu/dns/denial"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"
)

// maxProofs is how many messages' proofs a resolution keeps at hand.
const maxProofs = 8

// hear keeps the proofs of a reply: a server that sends an alias or a referral proves with it what the next question for DS would ask.
func (t *task) hear(r *reply) {
	if t.e.Validator == nil || len(t.proofs) >= maxProofs {
		return
	}
	if p := proofs(r.authority); signed(p) {
		t.proofs = append(t.proofs, p)
	}
}

// noDS looks among the proofs at hand for one that a name has no DS records. The validator checks its signatures like those of any answer.
func (t *task) noDS(q message.Question) *validate.Response {
	for _, sets := range t.proofs {
		zone := signer(sets)
		if zone == nil || !q.Name.IsSubdomainOf(zone) || q.Name.Equal(zone) {
			continue
		}
		proof := denial.NewProof(zone, sets, denial.DefaultIterations, &t.checks.Hashes)
		if v, _ := proof.NoDS(q.Name); v == denial.Proven || v == denial.OptOut {
			return &validate.Response{Question: q, Rcode: wire.NoError, Authority: sets}
		}
	}
	return nil
}

// signer returns who says to have signed the first of some proofs.
func signer(sets []*message.RRset) wire.Name {
	for _, s := range sets {
		if len(s.Sigs) > 0 && len(s.Sigs[0]) > 18 {
			return nameAt(s.Sigs[0][18:])
		}
	}
	return nil
}

// nameAt returns the name that some octets begin with. They come from a checked record.
func nameAt(b []byte) wire.Name {
	for i := 0; i < len(b); i += int(b[i]) + 1 {
		if b[i] == 0 {
			return wire.Name(b[:i+1])
		}
	}
	return nil
}
