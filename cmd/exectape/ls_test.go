package main

import (
	"errors"
	"strings"
	"testing"

	"exectape/sink"
)

func TestOfVeryManyCastsThatCantBeReadAFewAreToldAndTheRestCounted(t *testing.T) {
	all := make([]sink.Entry, 5000)
	for i := range all[:4321] {
		all[i].Err = errors.New("torn")
	}
	lines := strings.Split(unreadable(all).Error(), "\n")
	if len(lines) != 11 || lines[0] != "torn" || lines[10] != "and 4311 more can't be read" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if err := unreadable(all[4321:]); err != nil {
		t.Errorf("of none: %v", err)
	}
}
