package identify

import (
	"slices"
	"strings"

	"exectape/session"
)

// attached says which containers the session of an attach can belong to. It
// leaves no trace of its own. But its streams are those that were asked for, and
// those that a container's process has: a kubelet asks for a terminal exactly if
// the container has one (GetAttach), and a stdin is asked for where there is one.
func (t *trace) attached() session.Identity {
	source := t.r.from("containers")
	if !t.r.up {
		return some(nil, source)
	}
	all, whole := t.r.source.containers()
	if !whole {
		return some(nil, source)
	}
	fit := make(map[*container]struct{})
	for _, c := range all {
		if t.fitsContainer(c) {
			fit[c] = struct{}{}
		}
	}
	for c := range fit {
		if len(fit) == 1 {
			return one(c, source, session.ConfidenceLikely)
		}
	}
	return some(fit, source)
}

func (t *trace) fitsContainer(c *container) bool {
	opened := func(s session.Stream) bool { return t.streams[s].opened > 0 }
	switch {
	case t.websocket || t.wild.Load():
		return true
	case opened(session.ResizeStream) && !c.tty, opened(session.Stderr) && c.tty:
		return false
	}
	return c.stdin || !opened(session.Stdin)
}

// one is the identity of a session of which one container is known.
func one(c *container, source string, confidence session.Confidence) session.Identity {
	return session.Identity{
		Namespace: c.namespace, Pod: c.pod, Container: c.name, ContainerID: c.id,
		Source: source, Confidence: confidence,
	}
}

// maxCandidates is how many containers are worth naming. Of more, none is: that
// one of them is meant would not be known if the others were left out.
const maxCandidates = 64

// some is the identity of a session that belongs to one of several containers.
func some(containers map[*container]struct{}, source string) session.Identity {
	if len(containers) == 0 || len(containers) > maxCandidates {
		return session.Identity{Source: source, Confidence: session.ConfidenceUnknown}
	}
	i := session.Identity{Source: source, Confidence: session.ConfidenceAmbiguous}
	for c := range containers {
		i.Candidates = append(i.Candidates, c.candidate())
	}
	slices.SortFunc(i.Candidates, func(a, b session.Candidate) int { return strings.Compare(a.ContainerID, b.ContainerID) })
	return i
}
