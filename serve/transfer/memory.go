package transfer

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"anyu/dns/wire"
)

// memory is what a secondary remembers beside the zone.
type memory struct {
	Refreshed time.Time `json:"refreshed"` // when a primary last confirmed the version
	Primary   string    `json:"primary"`
	Catalog   string    `json:"catalog,omitempty"` // the catalog and the id there of a member
	ID        string    `json:"id,omitempty"`
}

// remember and recall keep the memory. It is lost in a crash at worst, which costs a refresh: no waiting for the disk.
func (j *journal) remember(m memory) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = os.MkdirAll(j.dir, 0o750)
	}
	if err == nil {
		err = os.WriteFile(j.path(stateFile+".new"), b, 0o640)
	}
	if err == nil {
		err = os.Rename(j.path(stateFile+".new"), j.path(stateFile))
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

func (j *journal) recall() (m memory) {
	if b, err := os.ReadFile(j.path(stateFile)); err == nil && json.Unmarshal(b, &m) != nil {
		m = memory{}
	}
	return m
}

// folder is the name of a zone's folder: its lower-case presentation form with what a file name cannot hold as %XX; a name too long
// for that is told by its hash.
func folder(name wire.Name) string {
	text := wire.Name(name.AppendLower(nil)).String()
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	const longest = 200
	if b.Len() > longest {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	}
	return b.String()
}
