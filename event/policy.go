package event

// Policy is which of the operator's rules decided what a client gets, instead of the names' own data.
type Policy uint8

const (
	NoPolicy         Policy = iota
	ClientIgnored           // the client is one of those that get no answer
	ClientNotAllowed        // the client may not ask at all
	ZoneNotAllowed          // the client may not ask for this zone
	NotServed               // no zone of ours, and no recursion for this client; or a kind of question that is not served
	ResponseRate            // more answers over UDP than the limit of responses
	ClientRate              // more queries than the limit of one client prefix
	LocalData               // a record of the operator's own
	LocalStatic             // rules over names (package serve/local)
	LocalRedirect
	LocalRefuse
	LocalDrop
	LocalNXDomain
	LocalNoData
	policies
)

var policyNames = [policies]string{"none", "client-ignored", "client-not-allowed", "zone-not-allowed", "not-served", "response-rate", "client-rate",
	"local-data", "local-static", "local-redirect", "local-refuse", "local-drop", "local-nxdomain", "local-nodata"}

func (p Policy) String() string {
	if p < policies {
		return policyNames[p]
	}
	return "other"
}
