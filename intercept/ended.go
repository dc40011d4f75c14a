package intercept

import (
	"cmp"
	"errors"
	"sync/atomic"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// finish closes the recording, and tells the session's story in one line: how
// it went, and never what was typed or shown.
func (s *Server) finish(conn *session.Conn, recorder session.Recorder, spliceErr error) {
	r, told := conn.Report(), conn.Live()
	told.End, told.EndReason = told.Start.Add(r.End.At), r.End.Reason
	closeErr := recorder.Close(r.End)
	if r.Untold {
		s.untold.Add(1)
	}
	fields := append(fieldsOf(told), zap.Duration("duration", r.End.At.Round(time.Millisecond)))
	if named, ok := recorder.(interface{ Name() string }); ok && named.Name() != "" {
		fields = append(fields, zap.String("cast", named.Name()))
	}
	if err := errors.Join(r.RecordError, closeErr); err != nil {
		s.Log.Error("session not fully recorded", append(fields, zap.Error(err))...)
	}
	s.Log.Info("session ended", append(fields, zap.Error(spliceErr))...)
	s.ended(told)
}

// undecoded returns what tells at once of each direction of a session that can't
// be decoded any more, and counts the session.
func (s *Server) undecoded(info session.Info) func(*session.Undecodable) {
	var counted atomic.Bool
	id, verb, protocol := info.ID, info.Verb, info.Protocol
	return func(u *session.Undecodable) {
		s.Log.Warn("session kept raw from here on", append(name(id, verb, protocol), zap.Error(u))...)
		if !counted.Swap(true) {
			s.undecodable.add(cmp.Or(protocol, otherProtocol), 1)
		}
	}
}

// fieldsOf returns what the log says of a session that has ended.
func fieldsOf(told session.Summary) []zap.Field {
	fields := append(make([]zap.Field, 0, mostFields), name(told.ID, told.Verb, told.Protocol)...)
	fields = append(fields, zap.String("end_reason", string(told.EndReason)))
	if whose := told.Identity; whose.Names() {
		fields = append(fields, zap.String("pod", whose.Namespace+"/"+whose.Pod), zap.String("container", whose.Container))
	}
	if whose := told.Identity; whose.Confidence != "" {
		fields = append(fields, zap.String("confidence", string(whose.Confidence)))
	}
	if p := told.Peer; p != nil && p.PID != 0 {
		fields = append(fields, zap.String("peer", p.Name), zap.Int("peer_pid", p.PID))
	}
	if n := told.Streams.Stdout; n != nil {
		fields = append(fields, zap.Int64("stdout", n.Bytes))
	}
	if n := told.Streams.Stderr; n != nil {
		fields = append(fields, zap.Int64("stderr", n.Bytes))
	}
	if told.ExitCode != nil {
		fields = append(fields, zap.Int("exit", *told.ExitCode))
	}
	return fields
}

// mostFields is how many the last line of a session has, at most.
const mostFields = 16

// missed tells of a session that has no cast.
func (s *Server) missed(info session.Info, how session.EndReason, took time.Duration) {
	s.ended(session.Summary{
		ID: info.ID, Node: info.Node, Start: info.Start, End: info.Start.Add(took), Verb: info.Verb, Protocol: info.Protocol,
		Subprotocol: info.Subprotocol, Target: info.Target, Claims: info.Claims, EndReason: how,
	})
}

func (s *Server) ended(told session.Summary) {
	if s.Ended != nil {
		s.Ended(told)
	}
}
