package cast

import (
	"encoding/base64"
	"fmt"
	"strings"

	"exectape/session"
)

// Exact gives back the very bytes of a cast's streams, from its events in
// order. At every moment they are all that was recorded by then. The zero
// value is ready for the first event.
type Exact struct {
	stderr bool
	given  [2]int // by stream: how much of its next event was in a carry
}

// Output returns what the container wrote, if ev says any: the stream and the
// bytes.
func (x *Exact) Output(ev Event) (session.Stream, []byte, error) {
	var data []byte
	switch ev.Code {
	case "s":
		x.stderr = ev.Data == session.Stderr.String()
		return 0, nil, nil
	case "o":
		data = []byte(ev.Data)
	case "b", "c":
		var err error
		if data, err = base64.StdEncoding.DecodeString(ev.Data); err != nil {
			return 0, nil, fmt.Errorf("event %q: %w", ev.Code, err)
		}
	default:
		return 0, nil, nil
	}
	stream, given := session.Stdout, &x.given[0]
	if x.stderr {
		stream, given = session.Stderr, &x.given[1]
	}
	fresh := data[min(*given, len(data)):]
	*given = 0
	if ev.Code == "c" {
		*given = len(data)
	}
	return stream, fresh, nil
}

// Wire returns the bytes that ev says could not be decoded, if it says any, and
// who sent them.
func Wire(ev Event) (session.Direction, []byte, error) {
	if ev.Code != "w" {
		return 0, nil, nil
	}
	who, encoded, _ := strings.Cut(ev.Data, ":")
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return 0, nil, fmt.Errorf("event %q: %w", ev.Code, err)
	}
	if who == session.FromServer.String() {
		return session.FromServer, data, nil
	}
	return session.FromClient, data, nil
}
