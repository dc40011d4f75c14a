package record_test

import (
	"fmt"
	"testing"

	"exectape/record"
	"exectape/session"
)

// A tape has what a recorder is told.
type tape struct {
	told  []string
	whose session.Identity
}

func (t *tape) Record(e session.Event) error {
	switch e.Kind {
	case session.Gap:
		t.told = append(t.told, fmt.Sprintf("%d bytes: %s", e.Lost.Bytes, e.Lost.Reason))
	case session.Output:
		t.told = append(t.told, string(e.Data))
	case session.Identified:
		t.whose = *e.Identity
	}
	return nil
}
func (t *tape) Commit(func(error)) error  { return nil }
func (t *tape) Close(session.End) error   { t.told = append(t.told, "closed"); return nil }
func (t *tape) Discard(session.End) error { t.told = append(t.told, "discarded"); return nil }
func (t *tape) Name() string              { return "cast" }
func in(pods ...string) (whose session.Identity) {
	whose.Confidence = session.ConfidenceAmbiguous
	for _, pod := range pods {
		whose.Candidates = append(whose.Candidates, session.Candidate{Namespace: "shop", Pod: pod, Container: "app"})
	}
	if len(pods) == 1 {
		whose = session.Identity{Namespace: "shop", Pod: pods[0], Container: "app", Confidence: session.ConfidenceExact}
	}
	return whose
}

func TestWhatIsRecordedOfASession(t *testing.T) {
	known := func(i session.Identity) session.Event { return session.Event{Kind: session.Identified, Identity: &i} }
	shown := session.Event{Kind: session.Output, Stream: session.Stdout, Data: []byte("hello")}
	typed := session.Event{Kind: session.Input, Stream: session.Stdin, Data: []byte("hello")} // which is not kept
	likely := in("web-1")
	likely.Confidence = session.ConfidenceLikely
	for _, test := range []struct {
		name, rules string
		events      []session.Event
		want        string
	}{
		{"no rule fits", "skip pod=db-*", []session.Event{known(in("web-1")), shown}, "[hello closed]"},
		{"skip", "skip pod=web-*", []session.Event{known(in("web-1")), shown}, "[discarded]"},
		{"sizes", "sizes namespace=shop container=app", []session.Event{known(in("web-1")), shown}, "[5 bytes: EXECTAPE_RECORD: stdout closed]"},
		{"the first rule counts", "record pod=web-1; skip", []session.Event{known(in("web-1")), shown}, "[hello closed]"},
		{"another verb", "skip verb=attach", []session.Event{known(in("web-1")), shown}, "[hello closed]"},
		{"this verb", "skip verb=exec", []session.Event{known(in("web-1")), shown}, "[discarded]"},
		{"known too late", "skip", []session.Event{shown, known(in("web-1")), shown}, "[hello hello closed]"},
		{"known behind what was typed", "skip", []session.Event{typed, known(in("web-1")), shown}, "[discarded]"},
		{"never known", "skip", []session.Event{shown}, "[hello closed]"},
		{"only likely", "skip", []session.Event{known(likely), shown}, "[hello closed]"},
		{"one of several, of which all are to be skipped", "skip pod=web-*", []session.Event{known(in("web-1", "web-2")), shown}, "[discarded]"},
		{"one of several, of which one is to be recorded", "skip pod=web-*", []session.Event{known(in("web-1", "db-1")), shown}, "[hello closed]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var rules record.Rules
			if err := rules.UnmarshalText([]byte(test.rules)); err != nil {
				t.Fatal(err)
			}
			to := &tape{}
			r := rules.Recorder(session.Info{Verb: "exec"}, to, session.Output, session.Raw)
			for _, e := range test.events {
				if err := r.Record(e); err != nil {
					t.Error(err)
				}
			}
			if err := r.Close(session.End{}); err != nil {
				t.Error(err)
			}
			if got := fmt.Sprint(to.told); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestWhereOnlySizesAreRecordedTheCommandIsNot(t *testing.T) {
	whose := in("pay-1")
	whose.Command = []string{"mysql", "--password=secret"}
	for text, want := range map[string]string{"sizes pod=pay-*": "[]", "record": "[mysql --password=secret]"} {
		var rules record.Rules
		if err := rules.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		to := &tape{}
		err := rules.Recorder(session.Info{Verb: "exec"}, to, session.Output).Record(session.Event{Kind: session.Identified, Identity: &whose})
		if got := fmt.Sprint(to.whose.Command); err != nil || got != want || to.whose.Pod != "pay-1" {
			t.Errorf("%s: %+v is recorded, %v; want the command %s", text, to.whose, err, want)
		}
	}
	if len(whose.Command) == 0 {
		t.Error("who else is told of the session has lost its command, too")
	}
}

func TestNoLieOfItsClientKeepsAnAttachFromBeingRecorded(t *testing.T) {
	chosen := in("web-1", "web-2") // by the streams that the client opened
	for text, want := range map[string]string{
		"skip pod=web-*":                          "[hello closed]",
		"sizes pod=web-*":                         "[hello closed]",
		"record pod=db-*; skip":                   "[hello closed]",
		"skip pod=web-*; skip verb=attach":        "[hello closed]",
		"skip verb=attach":                        "[discarded]",
		"skip verb=exec pod=web-*; sizes":         "[5 bytes: EXECTAPE_RECORD: stdout closed]",
		"record pod=db-* verb=exec; skip verb=a*": "[discarded]",
	} {
		var rules record.Rules
		if err := rules.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		to := &tape{}
		r := rules.Recorder(session.Info{Verb: "attach"}, to, session.Output)
		for _, e := range []session.Event{
			{Kind: session.Identified, Identity: &chosen},
			{Kind: session.Output, Stream: session.Stdout, Data: []byte("hello")},
		} {
			if err := r.Record(e); err != nil {
				t.Error(err)
			}
		}
		if err := r.Close(session.End{}); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(to.told); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestNonsenseIsNoRule(t *testing.T) {
	for _, text := range []string{"", ";", "keep", "skip shop", "skip label=a", "skip pod=", "skip pod=[", "namespace=shop", "skip pod=a pod=b"} {
		if err := new(record.Rules).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
