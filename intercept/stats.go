package intercept

import (
	"maps"
	"sync"

	"exectape/session"
)

// Stats are what a Server has counted since it was made. The keys are of few
// words, none of which a peer chooses.
type Stats struct {
	Refused     map[string]int64 // connections, by why they were
	SentAway    int64            // connections that were closed because they were quiet and others waited
	Undecodable map[string]int64 // sessions of which a direction could not be decoded, by protocol
	Unrecorded  map[string]int64 // bytes that passed, and were not recorded, by why not
	Untold      int64            // sessions that we ended, and whose clients could not be told why
}

// Why a connection was refused.
const (
	refusedDirect      = "not-redirected"
	refusedStranger    = "not-a-target"
	refusedUnreachable = "target-unreachable"
	refusedUnknown     = "no-original-destination"
	refusedCommand     = "not-connect" // of SOCKS5
)

// Why bytes were not recorded: those that never came near a sink.
const (
	unrecordedNoSink  = "no-sink"
	unrecordedTooMany = "too-many-sessions"
	unrecordedTLS     = "tls"
)

// otherProtocol is counted where a session's is none of the Protocols.
const otherProtocol = "other"

// Stats returns what was counted. Every key that there can be is in it.
func (s *Server) Stats() Stats {
	stats := Stats{
		Refused:     s.refused.since(refusedDirect, refusedStranger, refusedUnreachable, refusedUnknown, refusedCommand),
		Undecodable: s.undecodable.since(otherProtocol),
		Unrecorded:  s.unrecorded.since(unrecordedNoSink, unrecordedTooMany, unrecordedTLS),
		Untold:      s.untold.Load(),
	}
	for _, p := range s.Protocols {
		stats.Undecodable[p.Name] += 0
	}
	s.quiet.mu.Lock()
	defer s.quiet.mu.Unlock()
	stats.SentAway = int64(s.quiet.sentAway)
	return stats
}

// A tally counts by key. The zero value is ready.
type tally struct {
	mu     sync.Mutex // guards counts
	counts map[string]int64
}

func (t *tally) add(key string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int64)
	}
	t.counts[key] += n
}

// since returns a copy that has at least keys.
func (t *tally) since(keys ...string) map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]int64, len(keys))
	for _, key := range keys {
		all[key] = 0
	}
	maps.Copy(all, t.counts)
	return all
}

// unrecorded is the Recorder of a session for which no sink could be opened.
type unrecorded struct{ server *Server }

// Record implements [session.Recorder].
func (u unrecorded) Record(e session.Event) error {
	u.server.unrecorded.add(unrecordedNoSink, int64(len(e.Data)))
	return nil
}

// Commit implements [session.Recorder].
func (unrecorded) Commit(func(error)) error { return nil }

// Close implements [session.Recorder].
func (unrecorded) Close(session.End) error { return nil }
