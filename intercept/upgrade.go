package intercept

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// upgraded goes on with a connection whose target answered 101: it is a
// recorded session, unless it is a port-forward to the letter.
func (s *Server) upgraded(l *link, client, target *wire, up *upgrade) {
	if isPortForward(up.request) {
		s.Log.Debug("port-forward", zap.Stringer("target", l.to))
		s.pass(l, client, target)
		return
	}
	if !s.admit() {
		// It may open any stream, and nobody sees which.
		up.tracer.See(session.Event{Kind: session.Raw, From: session.FromClient})
		s.beyond(l, client, target, up)
		up.tracer.Close()
		return
	}
	if err := s.record(l, client, target, up); err != nil {
		s.leave()
		up.tracer.Refused()
		s.turnAway(l, client, err)
	}
}

// turnAway refuses a session in place of its 101.
func (s *Server) turnAway(l *link, client *wire, why error) {
	answer(client, http.StatusServiceUnavailable, (&unrecordable{why}).Error())
	linger(l.client, s.HeadTimeout)
}

// pass splices in the kernel. Nothing of it is recorded. It returns how many
// bytes have passed.
func (s *Server) pass(l *link, client, target *wire) int64 {
	c, t := &end{Duplex: l.client, socket: l.client}, &end{Duplex: l.target, socket: l.target}
	err := errors.Join(target.forward(client), early(client, target), early(target, client))
	if err != nil {
		reset(c, t)
	} else {
		err = splice(c, t, s.HalfCloseIdle)
	}
	s.Log.Debug("unrecorded connection ended", zap.Error(err))
	return c.sent.Load() + t.sent.Load()
}

// early passes on what one side sent behind its head.
func early(from, to *wire) error {
	rest := from.rest()
	if len(rest) == 0 {
		return nil
	}
	_, err := to.Write(rest)
	return err
}

// record begins a session, which goes on without its caller: once it is idle
// there is nothing left of how it began. Its sink is opened before the 101 is
// forwarded, which is before the client opens the streams that the runtime waits
// for. The error is why the session may not begin.
func (s *Server) record(l *link, client, target *wire, up *upgrade) error {
	info, decoder := s.describe(l.to, up)
	named := name(info.ID, info.Verb, info.Protocol)
	peer := s.peer(l)
	recorder, err := s.Open(info)
	if err != nil && s.Policy == session.FailClosed {
		s.Log.Error("session refused", append(named, zap.Error(err))...)
		s.missed(info, session.EndRefused, 0)
		return err
	}
	if err != nil {
		s.Log.Error("session not recorded", append(named, zap.Error(err))...)
	}
	if recorder == nil {
		recorder = unrecorded{s}
	}
	if err := target.forward(client); err != nil {
		s.Log.Info("session not started", append(named, zap.Error(err))...)
	}
	conn := session.NewConn(&resumed{l.target, target.rest()}, info, decoder, recorder, s.Policy)
	conn.Trace(up.tracer)
	conn.Meet(peer)
	conn.Undecoded = s.undecoded(info)
	s.Log.Info("session started", append(named, zap.Stringer("target", info.Target), zap.String("subprotocol", info.Subprotocol))...)

	l.begin(conn)
	l.hold()
	kubelet := &end{Duplex: &resumed{l.client, client.rest()}, socket: l.client}
	relay(kubelet, l.target, conn, s.HalfCloseIdle, func(spliceErr error) {
		defer s.release(l)
		defer s.leave()
		l.close() // before the recording is finished: the client waits for this
		s.finish(conn, recorder, spliceErr)
	})
	return nil
}

// peer asks who opened a connection. Nothing waits for the answer.
func (s *Server) peer(l *link) <-chan session.Peer {
	if s.Peer == nil {
		return nil
	}
	from := unmapped(l.client.RemoteAddr().(*net.TCPAddr).AddrPort())
	return s.Peer(from, cmp.Or(l.meant, local(l.client)))
}

// name returns what every line of the log has that is about a session. A logger
// that has it (zap.Logger.With) would take as much memory as all else that is known
// of a session.
func name(id, verb, protocol string) []zap.Field {
	return []zap.Field{zap.String("id", id), zap.String("verb", verb), zap.String("protocol", protocol)}
}

// describe names a session and picks its decoder by what the server, not the
// client, says it upgraded to.
func (s *Server) describe(to netip.AddrPort, up *upgrade) (session.Info, session.Decoder) {
	info := session.Info{ID: newID(), Node: s.Node, Start: time.Now(), Verb: verb(up.request), Target: to, Claims: session.NewClaims(up.request.Header.Values)}
	h := up.response.Header
	p, ok := s.Protocols[strings.ToLower(h.Get("Upgrade"))]
	if !ok {
		return info, session.Opaque{}
	}
	info.Protocol, info.Subprotocol = p.Name, h.Get(p.SubprotocolHeader)
	if unsure(up.request) {
		return info, session.Opaque{Why: errUnsure}
	}
	return info, p.NewDecoder(info.Subprotocol)
}

// isPortForward reports whether a request is for a port-forward and can be for
// nothing else: its target is, to the letter, what the runtime's CRI hands out
// (k8s.io/cri-streaming, request_cache.go: a token is 8 characters of URL-safe
// base64). A token is good for one kind of request only.
func isPortForward(req *http.Request) bool {
	return asks(req, "/portforward/")
}

// verb returns "exec" or "attach" if that is what the request's path begins
// with, however it is written.
func verb(req *http.Request) string {
	path := strings.TrimLeft(strings.TrimPrefix(req.URL.Path, criDockerd+"/"), "/")
	first, _, _ := strings.Cut(path, "/")
	for _, verb := range []string{"exec", "attach"} {
		if first == verb {
			return verb // and not a part of the request
		}
	}
	return ""
}

// newID returns 8 hexadecimal digits.
func newID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
