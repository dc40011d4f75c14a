package iptables

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// An Instance is one exectape's turn at having the connections. Its rules bear
// it in their comments, so that of several exectapes, which share the chain,
// each knows whose a rule is, and which of them is the youngest: the others
// leave the chain to that one.
type Instance struct {
	Port       uint16 // where it listens
	Generation uint64 // above that of every instance before it; 0: no instance, the rules are set by hand
}

// AnyGeneration is above every generation that there is.
const AnyGeneration = ^uint64(0)

// mark is the end of a rule's comment.
func (i Instance) mark() string {
	if i.Generation == 0 {
		return ""
	}
	return fmt.Sprintf(" (instance %d, generation %d)", i.Port, i.Generation)
}

var marks = regexp.MustCompile(`"` + ours + `.* \(instance (\d+), generation (\d+)\)"`)

// instanceOf returns whose a rule is, and false if it is no instance's.
func instanceOf(rule string) (i Instance, ok bool) {
	found := marks.FindStringSubmatch(rule)
	if found == nil {
		return i, false
	}
	port, errPort := strconv.ParseUint(found[1], 10, 16)
	generation, errGeneration := strconv.ParseUint(found[2], 10, 64)
	return Instance{uint16(port), generation}, errPort == nil && errGeneration == nil
}

// instances returns whose rules are in our chain and lead to it, the youngest
// first.
func (t table) instances() []Instance {
	var all []Instance
	for _, rule := range slices.Concat(t.rules(Chain), t.jumps()) {
		if i, ok := instanceOf(rule); ok && !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	youngestFirst(all)
	return all
}

// leading returns the instances whose rules take effect.
func (t table) leading() []Instance {
	if len(t.jumps()) == 0 {
		return nil
	}
	return t.instances()
}

func youngestFirst(all []Instance) {
	slices.SortFunc(all, func(a, b Instance) int {
		switch {
		case a.Generation > b.Generation:
			return -1
		case a.Generation < b.Generation:
			return 1
		}
		return int(b.Port) - int(a.Port)
	})
}

// newer reports whether an instance younger than generation has rules here.
func (t table) newer(generation uint64) bool {
	all := t.instances()
	return len(all) > 0 && all[0].Generation > generation
}

// of returns the rules of our chain that are those of instances, in their order.
func (t table) of(instances []Instance) []string {
	return slices.DeleteFunc(t.rules(Chain), func(rule string) bool {
		i, ok := instanceOf(rule)
		return !ok || !slices.Contains(instances, i)
	})
}
