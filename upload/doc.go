// Package upload sends finished casts to an HTTP recorder. The directory is its
// spool and its only memory: what a restart must know stands in there.
//
//	PUT <url>/20261123T173105Z_7f3a9c01.cast   the cast, as it is in the directory
//	PUT <url>/20261123T173105Z_7f3a9c01.json   then its summary
//
// When both were answered with 2xx, the directory notes that the cast is
// acknowledged. Until then it is sent again, the same bytes under the same name,
// for as long as it is kept. An answer that will stay what it is, such as 400,
// is noted beside the cast, which is then left alone. If asked to, an [Uploader]
// also streams casts while they are live; what it sends then is replaced by the
// finished cast.
//
// It reads files and writes notes, and knows no session: a recorder that is dead
// or slow is of no consequence to any. Whom it may crowd out are other casts on
// their way to the same recorder, so a few are sent at once, those that were not
// tried yet before those that failed, and no large ones only. A recorder that
// fails again and again is asked by one cast at a time.
//
// One goroutine, that of [Uploader.Run], decides all this (loop, queue, health).
// Deliveries and streams are goroutines of its own that it waits for.
package upload
