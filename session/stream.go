package session

// A Stream is one of the streams inside a session, named as the runtimes name
// them on the wire (header "streamtype" over SPDY).
type Stream uint8

// The streams of k8s.io/cri-streaming's remotecommand. The zero value is no
// stream at all.
const (
	Stdin Stream = iota + 1
	Stdout
	Stderr
	ErrorStream  // the exit status, or why there is none
	ResizeStream // the size of the user's terminal
)

var streamNames = [...]string{Stdin: "stdin", Stdout: "stdout", Stderr: "stderr", ErrorStream: "error", ResizeStream: "resize"}

// String returns the stream's name on the wire.
func (s Stream) String() string {
	if s == 0 || int(s) >= len(streamNames) {
		return "none"
	}
	return streamNames[s]
}

// ParseStream returns the stream that is called name. Names are matched
// exactly, as the server matches them.
func ParseStream(name string) (s Stream, ok bool) {
	for s, n := range streamNames {
		if n == name && n != "" {
			return Stream(s), true
		}
	}
	return 0, false
}

// A Direction says which way bytes pass.
type Direction uint8

// The two directions of a session.
const (
	FromClient Direction = iota // kubelet to runtime
	FromServer                  // runtime to kubelet
)

// String returns "client" or "server": who wrote the bytes.
func (d Direction) String() string {
	if d == FromServer {
		return "server"
	}
	return "client"
}
