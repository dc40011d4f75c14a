package iptables

import (
	"fmt"
	"slices"
	"strings"
)

// put returns the lines that make iptables-restore change t into what it
// should be: with rules in our chain and one jump to it. They are none if t is
// so already.
func (t table) put(rules []string, jump string) []string {
	var lines []string
	if !slices.Equal(t.rules(Chain), rules) {
		lines = append(lines, ":"+Chain+" - [0:0]") // makes it, or empties it
		for _, rule := range rules {
			lines = append(lines, "-A "+Chain+" "+rule)
		}
	}
	if !slices.Equal(t.jumps(), []string{jump}) {
		lines = append(lines, t.unjump()...)
		lines = append(lines, "-I OUTPUT 1 "+jump)
	}
	return lines
}

// unjump returns the lines that delete every jump of ours.
func (t table) unjump() []string {
	var lines []string
	for _, rule := range t.jumps() {
		lines = append(lines, "-D OUTPUT "+rule)
	}
	return lines
}

// clear returns the lines that delete everything of ours.
func (t table) clear() ([]string, error) {
	if !t.has(Chain) {
		return nil, nil
	}
	if strangers := t.strangers(); len(strangers) > 0 {
		return nil, fmt.Errorf("chain %s can't be deleted while rules lead to it that are not exectape's; delete those first: %s",
			Chain, strings.Join(strangers, "; "))
	}
	return append(t.unjump(), "-F "+Chain, "-X "+Chain), nil
}

// check returns in words what put would change.
func (t table) check(rules []string, jump string) []string {
	var wrong []string
	if t.has(Chain) {
		wrong = append(wrong, differences(t.rules(Chain), rules)...)
	} else {
		wrong = append(wrong, "chain "+Chain+" is missing")
	}
	jumps := t.jumps()
	if len(jumps) == 0 {
		wrong = append(wrong, "the jump from OUTPUT to "+Chain+" is missing")
	}
	for i, rule := range jumps {
		switch {
		case rule != jump:
			wrong = append(wrong, fmt.Sprintf("the jump from OUTPUT is not worded as it should be: %s", rule))
		case i > 0:
			wrong = append(wrong, "the jump from OUTPUT to "+Chain+" is there more than once")
		}
	}
	return wrong
}

// jumpsLeft returns in words what unjump would delete.
func (t table) jumpsLeft() []string {
	var wrong []string
	for range t.jumps() {
		wrong = append(wrong, "a jump from OUTPUT to "+Chain+" is left over")
	}
	return wrong
}

// leftovers returns in words what clear would delete.
func (t table) leftovers() []string {
	wrong := t.jumpsLeft()
	if t.has(Chain) {
		wrong = append(wrong, "chain "+Chain+" is left over")
	}
	return wrong
}

// differences compares the rules of our chain with what they should be.
func differences(have, want []string) []string {
	if slices.Equal(have, want) {
		return nil
	}
	var wrong []string
	for _, rule := range want {
		if !slices.Contains(have, rule) {
			wrong = append(wrong, fmt.Sprintf("chain %s lacks the rule %s", Chain, rule))
		}
	}
	for _, rule := range have {
		if !slices.Contains(want, rule) {
			wrong = append(wrong, fmt.Sprintf("chain %s has a rule that it should not have: %s", Chain, rule))
		}
	}
	if wrong == nil {
		wrong = append(wrong, "chain "+Chain+" has its rules in another order, or some more than once")
	}
	return wrong
}

func texts(rules []Rule) []string {
	var lines []string
	for _, rule := range rules {
		lines = append(lines, rule.String())
	}
	return lines
}
