package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// A story is told step by step to somebody who knows nothing of it yet. Each of
// its parts ends with an empty line.
type story struct {
	out  io.Writer
	step int
}

// begins begins a step.
func (s *story) begins(title string) {
	s.step++
	fmt.Fprintf(s.out, "%d. %s\n\n", s.step, title)
}

// says tells what happens and why, in lines that are as long as they are to be
// printed.
func (s *story) says(text string, values ...any) {
	s.lines("   ", fmt.Sprintf(strings.ReplaceAll(text, "\t", ""), values...))
}

// ran shows a command and what it printed.
func (s *story) ran(command string, printed []byte) {
	s.lines("     ", "$ "+command+"\n"+string(printed))
}

// shows shows what a user sees of a session.
func (s *story) shows(session []byte) {
	s.lines("     │ ", string(session))
}

// lines prints text with a margin in front of each line, but without what a
// terminal would act on.
func (s *story) lines(margin, text string) {
	text = strings.Trim(control.ReplaceAllString(text, ""), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(s.out, strings.TrimRight(margin+line, " "))
	}
	fmt.Fprintln(s.out)
}

// control matches carriage returns and control sequences, such as the one with
// which a shell asks where the cursor is.
var control = regexp.MustCompile(`\r|\x1b\[[0-9;?]*[A-Za-z]`)
