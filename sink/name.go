package sink

import (
	"strings"
	"time"

	"exectape/session"
)

// The endings of the files of one cast.
const (
	liveSuffix    = ".cast.part"
	castSuffix    = ".cast"
	summarySuffix = ".json"
	tempSuffix    = ".json.tmp" // a summary that is being written
)

// timeInName is when a session began, so that names sort by it.
const timeInName = "20060102T150405Z"

// IsCast reports whether a file of that name is a cast, live or finished.
func IsCast(name string) bool { return IsLive(name) || IsFinished(name) }

// IsLive reports whether a file of that name is a live cast, or one whose
// recorder is gone and that nobody has finished yet.
func IsLive(name string) bool { return strings.HasSuffix(name, liveSuffix) }

// IsFinished reports whether a file of that name is a finished cast.
func IsFinished(name string) bool { return strings.HasSuffix(name, castSuffix) }

// Stem returns what the name of a cast has in common with those of the files
// beside it.
func Stem(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, liveSuffix), castSuffix)
}

// ours reports whether that is the stem of a name that exectape gives.
func ours(stem string) bool {
	when, _, ok := strings.Cut(stem, "_")
	_, err := time.Parse(timeInName, when)
	return ok && err == nil
}

// ID returns the id of the session whose cast has that name.
func ID(name string) string {
	stem := Stem(name)
	return stem[strings.LastIndexByte(stem, '_')+1:]
}

// Key returns the part of a cast's name that stays when it is finished, which
// may bring the name of a container into it: the time and the id.
func Key(name string) string {
	stem := Stem(name)
	first, last := strings.IndexByte(stem, '_'), strings.LastIndexByte(stem, '_')
	if first == last {
		return stem
	}
	return stem[:first] + stem[last:]
}

// What is kept of each name in a cast's, in bytes. A namespace and a container
// have no more; a pod can have 253, which with all the rest would be too much
// for a file system.
const (
	maxNamespace = 63
	maxContainer = 63
	maxPod       = 80
)

// finishedStem returns the stem of the finished cast of a session whose key is
// that, and which belongs to i as far as is known.
func finishedStem(key string, i session.Identity) string {
	when, id, ok := strings.Cut(key, "_")
	if !ok || strings.Contains(id, "_") || !i.Names() {
		return key
	}
	return strings.Join([]string{when, safe(i.Namespace, maxNamespace), safe(i.Pod, maxPod), safe(i.Container, maxContainer), id}, "_")
}

// stranger stands in a name for a byte that no name in Kubernetes has, and for
// what was cut out. It is neither a separator nor anything to a shell where it
// stands, nor to a URL.
const stranger = '~'

// safe returns name with nothing in it but what names in Kubernetes are made
// of, and at most so long. One that is too long loses its middle: what tells a
// pod from its like is at the end.
func safe(name string, most int) string {
	clean := []byte(name)
	if len(clean) > most {
		half := (most - 1) / 2
		clean = append(append([]byte(name[:most-1-half]), stranger), name[len(name)-half:]...)
	}
	for i, c := range clean {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			clean[i] = stranger
		}
	}
	return string(clean)
}
