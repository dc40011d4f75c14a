package intercept

import (
	"net/http"
	"strings"

	"exectape/session"
)

// trace follows what may become a session of req.
func (s *Server) trace(req *http.Request) session.Tracer {
	if s.Trace == nil || !asksUpgrade(req) || isPortForward(req) {
		return session.Untraced{}
	}
	kind := "exec"
	if isAttach(req) {
		kind = "attach"
	}
	tracer := s.Trace(kind, strings.EqualFold(req.Header.Get("Upgrade"), "websocket")) // wsstream.IsWebSocketRequest
	if unsure(req) {
		// Its body may open streams before anybody decodes them.
		tracer.See(session.Event{Kind: session.Raw, From: session.FromClient})
	}
	return tracer
}

// isAttach reports whether a request is for an attach and can be for nothing
// else, as isPortForward does.
func isAttach(req *http.Request) bool { return asks(req, "/attach/") }

// criDockerd is what stands before every path of cri-dockerd's (its cmd/server.go).
const criDockerd = "/cri"

// asks reports whether the target of req is, to the letter, path and a token.
func asks(req *http.Request, path string) bool {
	token, ok := strings.CutPrefix(strings.TrimPrefix(req.RequestURI, criDockerd), path)
	if !ok || len(token) != 8 {
		return false
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return strings.Trim(token, alphabet) == ""
}
