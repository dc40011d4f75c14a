package intercept_test

import (
	"bytes"
	"net/http"
	"testing"

	ref "github.com/moby/spdystream/spdy"
)

// Frames are made by the framer that both kubelet and runtime use.

// opening is the client's first frames: one SYN_STREAM for each type, with the
// ids 1, 3, 5 ...
func opening(t *testing.T, types ...string) string {
	t.Helper()
	var b bytes.Buffer
	framer, err := ref.NewFramer(&b, &b)
	if err != nil {
		t.Fatal(err)
	}
	for i, streamType := range types {
		frame := &ref.SynStreamFrame{StreamId: ref.StreamId(2*i + 1), Headers: http.Header{"streamtype": {streamType}}}
		if err := framer.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func dataFrame(t *testing.T, id uint32, data string) string {
	t.Helper()
	var b bytes.Buffer
	framer, err := ref.NewFramer(&b, &b)
	if err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteFrame(&ref.DataFrame{StreamId: ref.StreamId(id), Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
