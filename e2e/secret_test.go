package e2e_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"exectape/e2e/kubelet"
)

func TestTheLogHasNothingOfWhatWasTypedOrShown(t *testing.T) {
	const typed, shown, told = "correct-horse", "battery-staple", "hunter2"
	needsNode(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, "EXECTAPE_RECORD_STDIN=full")...)
			t.Run("with a terminal", func(t *testing.T) {
				u := run(t, w.kubelet, app, kubelet.Process{Command: shell("read x; echo ba''ttery-staple; exit 3"), Stdin: true, TTY: true})
				u.types(typed + "\n")
				u.sees(shown)
				u.leaves()
				e.on(t).recorded()
			})
			t.Run("without one, on stderr too", func(t *testing.T) {
				u := run(t, w.kubelet, app, kubelet.Process{Command: shell("read x; echo $x >&2; echo " + shown), Stdin: true})
				u.types(typed + "\n")
				u.leaves()
				e.on(t).recorded()
			})
			t.Run("a command that isn't there", func(t *testing.T) {
				run(t, w.kubelet, app, kubelet.Process{Command: []string{told}}).leaves()
				e.on(t).recorded()
			})
			t.Run("no HTTP at all", func(t *testing.T) {
				conn := w.mustDial(t, streamingServer)
				say(t, conn, told+"\r\n\r\n")
				e.on(t).logs("connection ended before an upgrade")
			})
			t.Run("a token where WebSocket clients have theirs", func(t *testing.T) {
				conn := w.mustDial(t, streamingServer)
				say(t, conn, "GET /exec/abcdefgh HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
					"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io."+told+"\r\n\r\n")
				_ = conn.CloseWrite()
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Error(err)
				}
			})
			for _, secret := range []string{typed, shown, told} {
				for line := range strings.Lines(e.running.Log.String()) {
					if strings.Contains(line, secret) {
						t.Errorf("%q is in the log: %s", secret, line)
					}
				}
			}
		})
	}
}

func TestWhatWasRecordedIsCounted(t *testing.T) {
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		got := once(kubelet.Process{Command: shell("printf 12345; printf 123 >&2; exit 4")})(t, w.kubelet)
		e.recorded().wantAnswer(got)
		for metric, want := range map[string]string{
			`exectape_sessions_total{outcome="completed",protocol="spdy",verb="exec"}`: "1",
			`exectape_session_duration_seconds_count`:                                  "1",
			`exectape_recorded_bytes_total{stream="stdout"}`:                           "5",
			`exectape_recorded_bytes_total{stream="stderr"}`:                           "3",
			`exectape_recorded_bytes_total{stream="stdin"}`:                            "0",
			`exectape_unrecorded_bytes_total{reason="disk"}`:                           "0",
			`exectape_undecodable_total{protocol="spdy"}`:                              "0",
			`exectape_targets`: "1",
		} {
			scraped(t, metric, want)
		}
	})
}
