package session

import "strings"

// An Identity says which container a session belongs to and what runs there.
// Nothing of it is on the wire: Source says who knows it, Confidence how well.
// The zero value: not known. Its texts are as the source has them, and a
// container's owner may have made them up.
type Identity struct {
	Namespace   string      `json:"namespace,omitempty"`
	Pod         string      `json:"pod,omitempty"`
	Container   string      `json:"container,omitempty"`
	ContainerID string      `json:"container_id,omitempty"`
	Command     []string    `json:"command,omitempty"` // argv
	User        string      `json:"user,omitempty"`    // inside the container, as the runtime has it
	Source      string      `json:"source,omitempty"`
	Confidence  Confidence  `json:"confidence,omitempty"`
	Candidates  []Candidate `json:"candidates,omitempty"` // if Confidence is ambiguous
}

// A Candidate is a container that a session may belong to.
type Candidate struct {
	Namespace   string `json:"namespace,omitempty"`
	Pod         string `json:"pod,omitempty"`
	Container   string `json:"container,omitempty"`
	ContainerID string `json:"container_id,omitempty"`
}

// A Confidence is how well an [Identity] is known.
type Confidence string

// The confidences, from the best on.
const (
	ConfidenceExact     Confidence = "exact"
	ConfidenceLikely    Confidence = "likely"
	ConfidenceAmbiguous Confidence = "ambiguous" // one of the candidates
	ConfidenceUnknown   Confidence = "unknown"   // it was looked for, and not found
)

// IsZero reports whether nothing is known, not even that nothing was found.
func (i Identity) IsZero() bool {
	texts := i.Namespace + i.Pod + i.Container + i.ContainerID + i.User + i.Source + string(i.Confidence)
	return texts == "" && len(i.Command) == 0 && len(i.Candidates) == 0
}

// Names reports whether i names one container, rather than some or none.
func (i Identity) Names() bool {
	sure := i.Confidence == ConfidenceExact || i.Confidence == ConfidenceLikely
	return sure && i.Namespace != "" && i.Pod != "" && i.Container != ""
}

// Claims are what the headers of a session's request say about who is behind
// it, by the header's name. They are the client's words: forgeable, and absent
// where the kubelet or the API server has translated the request.
type Claims map[string]string

// Claimed are the headers that can be among the [Claims].
var Claimed = []string{"Audit-ID", "Kubectl-Command", "Kubectl-Session", "User-Agent", "X-Forwarded-For"}

// maxClaim bounds a claim, in bytes. A kubectl's User-Agent takes about 60.
const maxClaim = 256

// NewClaims returns what a request claims whose headers get returns. It keeps
// at most 256 bytes of each.
func NewClaims(get func(header string) []string) Claims {
	claims := make(Claims)
	for _, header := range Claimed {
		said := strings.Join(get(header), ", ")
		// What a rune cut in two leaves is not valid either.
		if said = strings.ToValidUTF8(said[:min(len(said), maxClaim)], ""); said != "" {
			claims[header] = said
		}
	}
	if len(claims) == 0 {
		return nil
	}
	return claims
}
