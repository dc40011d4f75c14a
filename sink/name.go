package sink

import "strings"

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

// Stem returns the part of a cast's name that stays when it is finished.
func Stem(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, liveSuffix), castSuffix)
}

// ID returns the id of the session whose cast has that name.
func ID(name string) string {
	stem := Stem(name)
	return stem[strings.LastIndexByte(stem, '_')+1:]
}
