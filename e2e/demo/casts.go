package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// theCasts shows what there is of the sessions.
func (s *scene) theCasts(ctx context.Context) error {
	s.begins("What was recorded")
	if err := s.show(ctx, "ls", s.casts); err != nil {
		return err
	}
	s.says(`
		A cast is a text file, which whatever plays asciicasts can play, with every
		size of the window. It is exact, too. These are the very bytes that the user at
		the shell got:`)
	if err := s.show(ctx, "cat", "--stream", "stdout", s.recorded[0]); err != nil {
		return err
	}
	s.says(`
		And these are those that the failing command wrote to stderr:`)
	return s.show(ctx, "cat", "--stream", "stderr", s.recorded[1])
}

// show runs exectape and shows what it prints.
func (s *scene) show(ctx context.Context, args ...string) error {
	command := "exectape " + strings.Join(args, " ")
	cmd := s.program.Command(ctx, args...)
	var said strings.Builder
	cmd.Stderr = &said
	printed, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, said.String())
	}
	s.ran(command, printed)
	return nil
}

// theEnd takes everything down but the casts.
func (s *scene) theEnd(context.Context) error {
	s.begins("The end")
	if err := s.close(); err != nil {
		return err
	}
	s.says(`
		exectape and all else that the demo started has ended. The casts are yours. To
		play the shell's (Debian has a package asciinema), and to remove them all:`)
	s.ran("asciinema play "+s.recorded[0], nil)
	s.ran("rm -r "+filepath.Dir(s.casts), nil)
	return nil
}
