package iptables

import (
	"fmt"
	"slices"
	"strings"
)

// A table is one table as iptables-save prints it: a line for each chain, then
// one for each rule. A table that the kernel has not made yet has none.
type table []string

// readTable finds the table of that name in what iptables-save printed.
func readTable(name, saved string) (table, error) {
	// Where nft put rules in that iptables has no words for, iptables-nft-save
	// says so in a comment, prints no table and is content.
	if strings.Contains(saved, "# Table `"+name+"' is incompatible") {
		return nil, fmt.Errorf("table %s has rules that iptables can't read, made by nft; move those to a table of another name", name)
	}
	var t table
	inside := false
	for line := range strings.Lines(saved) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			inside = line == "*"+name
		case line == "COMMIT" || strings.HasPrefix(line, "#"):
		case inside:
			t = append(t, line)
		}
	}
	return t, nil
}

// has reports whether there is such a chain.
func (t table) has(chain string) bool {
	return slices.ContainsFunc(t, func(line string) bool { return strings.HasPrefix(line, ":"+chain+" ") })
}

// rules returns the rules of a chain.
func (t table) rules(chain string) []string {
	var rules []string
	for _, line := range t {
		if rule, ok := strings.CutPrefix(line, "-A "+chain+" "); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

// jumps returns our jumps, which an older exectape may have worded otherwise.
func (t table) jumps() []string {
	return slices.DeleteFunc(t.rules("OUTPUT"), func(rule string) bool { return !isJump(rule) })
}

// strangers returns the lines of rules that lead into our chain and are not
// ours.
func (t table) strangers() []string {
	var lines []string
	for _, line := range t {
		rule, inOutput := strings.CutPrefix(line, "-A OUTPUT ")
		if leads(line) && !(inOutput && isJump(rule)) {
			lines = append(lines, line)
		}
	}
	return lines
}

func isJump(rule string) bool {
	return strings.HasSuffix(rule, " -j "+Chain) && strings.Contains(rule, ` --comment "`+ours)
}

// leads reports whether a rule leads into our chain. One that does ends with
// the chain's name, and no other can: a comment like that has spaces, so it
// would end with a quotation mark.
func leads(rule string) bool {
	return strings.HasSuffix(rule, " -j "+Chain) || strings.HasSuffix(rule, " -g "+Chain)
}
