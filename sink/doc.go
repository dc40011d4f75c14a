// Package sink is where casts live: a directory.
//
//	20261123T173105Z_7f3a9c01.cast.part             a live session, flocked by its recorder
//	20261123T173105Z_shop_web-5d9_app_7f3a9c01.cast   a finished one
//	20261123T173105Z_shop_web-5d9_app_7f3a9c01.json   its summary
//
// Which container a session belongs to is known after its cast was begun, or
// never: the cast gets that name when it is finished, or stays without. Its time
// and its id, which never change, are its [Key]. The files are 0600, in a
// directory that no other user may write to.
//
// A [Dir] begins a [Recording] for each session, and finishes what an instance
// that died has left behind. A recording has one writer, which keeps its own
// offset: the cast's header is written over in place, everything else is
// appended, and a line that was written is never written again. A disk that is
// full, fails or hangs suspends recordings, and holds up no session: see
// [Recording] and disk.go. [List] and its
// like are for whoever reads a directory, live casts included, and lock nothing.
//
// What a session's bytes mean is decided elsewhere (packages session, cast), as
// is whether a session may go on that can't be recorded.
package sink
