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
	given  [3]int // of stdout, stderr and stdin: how much of its next event was in a carry
}

// Output returns what the container wrote, if ev says any: the stream and the
// bytes.
func (x *Exact) Output(ev Event) (session.Stream, []byte, error) {
	if ev.Code == "s" {
		x.stderr = ev.Data == session.Stderr.String()
		return 0, nil, nil
	}
	stream, given := session.Stdout, &x.given[0]
	if x.stderr {
		stream, given = session.Stderr, &x.given[1]
	}
	data, said, err := fresh(ev, outputCodes, given)
	if !said || err != nil {
		return 0, nil, err
	}
	return stream, data, nil
}

// Input returns what was sent to the container, if ev says any.
func (x *Exact) Input(ev Event) ([]byte, error) {
	data, _, err := fresh(ev, inputCodes, &x.given[2])
	return data, err
}

// fresh returns the bytes that ev says and that no carry has said before, if its
// code is among those asked for.
func fresh(ev Event, as codes, given *int) (data []byte, said bool, err error) {
	if len(ev.Code) != 1 {
		return nil, false, nil
	}
	code := ev.Code[0]
	switch code {
	case as.text:
		data = []byte(ev.Data)
	case as.binary, as.carry:
		if data, err = base64.StdEncoding.DecodeString(ev.Data); err != nil {
			return nil, false, fmt.Errorf("event %q: %w", ev.Code, err)
		}
	default:
		return nil, false, nil
	}
	rest := data[min(*given, len(data)):]
	*given = 0
	if code == as.carry {
		*given = len(data)
	}
	return rest, true, nil
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
