// Package record decides what is recorded of a session, by whose it is.
//
// It does not find that out: it is told as everything else is, by an event. Who
// is known before the first byte of content is treated by the rules; whoever is
// not is recorded.
package record

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"exectape/session"
)

// An Action is what becomes of a session.
type Action uint8

// The actions. The zero value is to record all of it.
const (
	All   Action = iota
	Sizes        // when there was how much of which stream, but not what
	Skip         // nothing
)

var actions = map[string]Action{"record": All, "sizes": Sizes, "skip": Skip}

// Rules say what becomes of which sessions: the first that fits counts. What none
// fits is recorded.
type Rules []Rule

// A Rule is about the sessions that fit all of its patterns, which are those of
// [path.Match]. An empty one fits any.
type Rule struct {
	Action                          Action
	Namespace, Pod, Container, Verb string
}

// UnmarshalText reads rules such as
//
//	skip namespace=kube-system container=istio-*; sizes namespace=pay-* verb=exec
func (r *Rules) UnmarshalText(text []byte) error {
	var all Rules
	for part := range strings.SplitSeq(string(text), ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		rule, err := parse(words)
		if err != nil {
			return err
		}
		all = append(all, rule)
	}
	if len(all) == 0 {
		return errors.New("no rule")
	}
	*r = all
	return nil
}

func parse(words []string) (Rule, error) {
	action, ok := actions[words[0]]
	if !ok {
		return Rule{}, fmt.Errorf("%q is not record, sizes or skip", words[0])
	}
	rule := Rule{Action: action}
	fields := map[string]*string{"namespace": &rule.Namespace, "pod": &rule.Pod, "container": &rule.Container, "verb": &rule.Verb}
	for _, word := range words[1:] {
		name, pattern, _ := strings.Cut(word, "=")
		field := fields[name]
		if _, err := path.Match(pattern, ""); field == nil || pattern == "" || err != nil {
			return Rule{}, fmt.Errorf("%q is not namespace, pod, container or verb with a pattern", word)
		}
		if *field != "" {
			return Rule{}, fmt.Errorf("%q: a rule has one pattern for each; write another rule, behind a semicolon", word)
		}
		*field = pattern
	}
	return rule, nil
}

// fits reports whether the rule is about a session in a container.
func (r Rule) fits(verb string, c session.Candidate) bool {
	fit := func(pattern, name string) bool {
		ok, _ := path.Match(pattern, name) // it was parsed
		return ok || pattern == ""
	}
	return fit(r.Verb, verb) && fit(r.Namespace, c.Namespace) && fit(r.Pod, c.Pod) && fit(r.Container, c.Container)
}

// about returns what becomes of a session. If it may be one of several, all of
// them must agree; what is less sure than that is recorded.
//
// The candidates of an attach are less sure: they follow from the streams that
// its client opens, and nothing shows that it lies.
func (r Rules) about(verb string, whose session.Identity) Action {
	if verb == "attach" {
		return r.whoever(verb)
	}
	may := whose.Candidates
	if whose.Confidence == session.ConfidenceExact {
		may = []session.Candidate{{Namespace: whose.Namespace, Pod: whose.Pod, Container: whose.Container}}
	}
	agreed, first := All, true
	for _, c := range may {
		action := All
		for _, rule := range r {
			if c.Pod != "" && rule.fits(verb, c) {
				action = rule.Action
				break
			}
		}
		if !first && action != agreed {
			return All
		}
		agreed, first = action, false
	}
	return agreed
}

// whoever returns what becomes of a session in whichever container.
func (r Rules) whoever(verb string) Action {
	for _, rule := range r {
		if ok, _ := path.Match(rule.Verb, verb); !ok && rule.Verb != "" {
			continue
		}
		if rule.Namespace != "" || rule.Pod != "" || rule.Container != "" {
			return All // it may be about this one
		}
		return rule.Action
	}
	return All
}

// A discarder is a Recorder that can leave nothing of a session.
type discarder interface {
	Discard(end session.End) error
}

// Recorder returns one that gives to, of the session that info describes, what is
// to be recorded of it. content are the kinds of events whose data to keeps.
func (r Rules) Recorder(info session.Info, to session.Recorder, content ...session.Kind) session.Recorder {
	if len(r) == 0 {
		return to
	}
	return &recorder{Recorder: to, rules: r, verb: info.Verb, content: content}
}

// A recorder asks the rules until there is content.
type recorder struct {
	session.Recorder
	rules   Rules
	verb    string
	content []session.Kind

	mu      sync.Mutex // guards what follows
	action  Action
	decided bool
}

// Record implements [session.Recorder].
func (r *recorder) Record(e session.Event) error {
	switch action := r.decide(e); {
	case action == Skip:
		return nil
	case action == Sizes && slices.Contains(r.content, e.Kind):
		return r.Recorder.Record(session.Event{Kind: session.Gap, At: e.At, Lost: withheld(e)})
	case action == Sizes && e.Kind == session.Identified:
		e.Identity = withoutCommand(*e.Identity)
	}
	return r.Recorder.Record(e)
}

// withoutCommand is an identity but for what was typed to begin the session: a
// password can stand there, too.
func withoutCommand(i session.Identity) *session.Identity {
	i.Command = nil
	return &i
}

func withheld(e session.Event) *session.Loss {
	what := e.Stream.String()
	if e.Kind == session.Raw {
		what = "what the " + e.From.String() + " sent"
	}
	return &session.Loss{Bytes: int64(len(e.Data)), Reason: session.Withheld + what}
}

// decide returns what becomes of e.
func (r *recorder) decide(e session.Event) Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Kind == session.Identified && !r.decided:
		r.action = r.rules.about(r.verb, *e.Identity)
		// What was skipped can't be had again.
		r.decided = r.action == Skip
	case len(e.Data) > 0 && slices.Contains(r.content, e.Kind):
		r.decided = true
	}
	return r.action
}

func (r *recorder) skips() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.action == Skip
}

// Commit implements [session.Recorder].
func (r *recorder) Commit(overdue func(error)) error {
	if r.skips() {
		return nil
	}
	return r.Recorder.Commit(overdue)
}

// Close implements [session.Recorder].
func (r *recorder) Close(end session.End) error {
	if d, ok := r.Recorder.(discarder); ok && r.skips() {
		return d.Discard(end)
	}
	return r.Recorder.Close(end)
}

// Name returns the name of the finished cast, and "" if there is none.
func (r *recorder) Name() string {
	if named, ok := r.Recorder.(interface{ Name() string }); ok && !r.skips() {
		return named.Name()
	}
	return ""
}
