package keeper

import (
	"errors"
	"fmt"
	"time"

	"exectape/iptables"
)

// A Status is what there is to say of the rules.
type Status struct {
	Problems []iptables.Problem // what was wrong with the rules when they were last looked at, and is still
	Err      error              // why they can't be looked at, or put right
	Lacking  error              // why some targets have none
	Repairs  int                // how often they were put right
	Replaced bool               // a younger exectape has them

	Age      time.Duration // since a probe last succeeded, and with it the lease was renewed
	Length   time.Duration // of the lease; 0: there is none
	ProbeErr error         // why it was not renewed, or without a lease the probe failed, the last time
	Lapses   int           // how often it had lapsed when it was renewed

	// Open is for how long sessions may have passed unrecorded, in all: because
	// rules were missing, at most, or because a lease had lapsed.
	Open time.Duration
}

// Status returns how things stand.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	s := Status{Problems: k.last.problems, Err: k.last.err, Lacking: k.lacking, Repairs: k.last.repairs, Open: k.last.open, Replaced: k.turn.role == replaced}
	k.mu.Unlock()
	l := k.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.renewed.IsZero() {
		s.Age = time.Since(l.renewed)
	}
	s.Length, s.ProbeErr, s.Lapses = l.length, l.err, l.lapses
	s.Open += l.open
	return s
}

// Rules returns what is wrong with the rules.
func (s Status) Rules() error {
	if s.Replaced {
		return nil // nothing that this exectape would have to put right
	}
	errs := []error{s.Err, s.Lacking}
	for _, p := range s.Problems {
		errs = append(errs, errors.New(string(p)))
	}
	return errors.Join(errs...)
}

// Lease returns why new sessions would not be led here, or not be served if
// they were.
func (s Status) Lease() error {
	if s.Replaced {
		return nil
	}
	if s.Length > 0 && s.Age > s.Length {
		return fmt.Errorf("it lapsed %s ago: %w", (s.Age - s.Length).Round(time.Millisecond), s.ProbeErr)
	}
	if s.Length == 0 {
		return s.ProbeErr
	}
	return nil
}
