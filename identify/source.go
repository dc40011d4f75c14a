package identify

import "path/filepath"

// A source is where the containers of a runtime and their execs are seen.
type source interface {
	catchUp() error // takes all that has happened; after an error it is to be opened anew
	close()
	ear() *inotify
	name() string
	find(container, id string) *exec
	place(*exec, shape)        // takes what was found out of an exec besides what it runs
	describe(*container) error // reads the container's names, unless it has
	containers() (all []*container, whole bool)
	blind() bool              // there are execs that can't be seen
	shows() (stdin, tty bool) // of an exec it is to be seen whether it has that
	unlisten(*exec)           // nothing more has to be known of it
	size() (containers, watches int)
}

// An observer is told what a source sees.
type observer struct {
	made   func(*exec)         // each exec that was made, in order
	shaped func(*exec)         // and that more is known of it now
	fed    func(*exec, moment) // that something came to its stdin
	gone   func(*exec)         // that it has ended
	missed func()              // execs may have been made and have ended unseen
}

// openSource opens the one whose state directory that is, at a moment: CRI-O's, if it
// is the run root of a storage of containers, and else containerd's.
func (r *Resolver) openSource(now moment) (source, error) {
	told := observer{made: r.made, shaped: r.shaped, fed: r.fed, gone: r.shaped, missed: r.blind}
	if stores, _ := filepath.Glob(filepath.Join(r.state, "*"+storeSuffix)); len(stores) > 0 {
		return openCRIO(stores, r.tmp, r.runs, told, now)
	}
	x := newIndex(r.state, told)
	return x, x.open(now)
}
