package cast_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"exectape/cast"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

var web = session.Identity{
	Namespace: "shop", Pod: "web-5d9", Container: "app", ContainerID: strings.Repeat("4f", 32),
	Command: []string{"sh", "-c", "echo é"}, User: "0:0", Source: "runtime", Confidence: session.ConfidenceExact,
}

func identified(i session.Identity) session.Event {
	return session.Event{Kind: session.Identified, Identity: &i}
}

func TestAnIdentityThatComesLateIsInTheHeader(t *testing.T) {
	for _, version := range []int{2, 3} {
		file := write(version, story{out(session.Stdout, "$ "), identified(web)})
		header, _ := decoded(t, file)
		if diff := cmp.Diff(web, header.Facts.Identity); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
		var line struct {
			Command    string
			Kubernetes map[string]string
		}
		if err := json.Unmarshal(file[:cast.SlotSize], &line); err != nil {
			t.Fatal(err)
		}
		if line.Command != "sh -c echo é" {
			t.Errorf("v%d: command = %q", version, line.Command)
		}
		want := map[string]string{"PodName": "web-5d9", "Namespace": "shop", "Container": "app", "SessionType": "exec"}
		if diff := cmp.Diff(want, line.Kubernetes); diff != "" {
			t.Errorf("v%d: kubernetes (-want +got):\n%s", version, diff)
		}
	}
}

func TestTheLastIdentityCounts(t *testing.T) {
	vague := session.Identity{Source: "runtime", Confidence: session.ConfidenceAmbiguous, Candidates: []session.Candidate{{Namespace: "shop", Pod: "web-5d9", Container: "app"}, {Namespace: "shop", Pod: "web-5d9", Container: "proxy"}}}
	for _, last := range []session.Identity{vague, web} {
		header, _ := decoded(t, write(2, story{identified(web), identified(vague), identified(last)}))
		if diff := cmp.Diff(last, header.Facts.Identity); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestClaimsAreInTheHeader(t *testing.T) {
	claiming := info
	claiming.Claims = session.Claims{"User-Agent": "kubectl/v1.37.2", "X-Forwarded-For": "10.0.0.1"}
	header, _ := decoded(t, cast.NewEncoder(2, claiming).Begin(nil))
	if diff := cmp.Diff(claiming.Claims, header.Facts.Claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func met(p session.Peer) session.Event { return session.Event{Kind: session.Met, Peer: &p} }

func TestWhoOpenedTheSessionIsInTheHeader(t *testing.T) {
	for _, kubelet := range []session.Peer{{UID: 7}, {PID: 812, Name: "kubelet", Executable: "/usr/bin/kubelet"}} {
		header, _ := decoded(t, write(2, story{out(session.Stdout, "$ "), met(kubelet)}))
		if diff := cmp.Diff(&kubelet, header.Facts.Peer); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// repeated returns n times text, and one of each word.
func repeated(n int, words ...string) (all []string) {
	for i := range n {
		all = append(all, words[i%len(words)])
	}
	return all
}

func TestAHostileContainersHeaderFitsItsSlot(t *testing.T) {
	texts := map[string]string{
		"10000 letters":      strings.Repeat("x", 10000),
		"control characters": strings.Repeat("\x00\x1b[2J\r\n\x7f\u2028", 2000),
		"JSON":               strings.Repeat(`"},"exectape":{"exit_code":0},"x":{"`, 300),
		"invalid UTF-8":      strings.Repeat("\xff\xc3", 5000),
		"runes":              strings.Repeat("😀", 2500),
		"nothing":            "",
	}
	for name, text := range texts {
		claims := session.Claims{}
		for _, header := range session.Claimed {
			claims[header] = text
		}
		candidate := session.Candidate{Namespace: text, Pod: text, Container: text, ContainerID: text}
		tests := map[string]session.Identity{
			"everywhere": {Namespace: text, Pod: text, Container: text, ContainerID: text, Command: []string{text, text}, User: text,
				Source: text, Confidence: session.Confidence(text), Candidates: []session.Candidate{candidate, candidate}},
			"the command":     {Command: []string{"sh", "-c", text}, Pod: "web-5d9"},
			"many arguments":  {Command: repeated(10000, text, "", "y"), Pod: "web-5d9"},
			"many candidates": {Candidates: slices.Repeat([]session.Candidate{candidate}, 1000), Pod: "web-5d9"},
		}
		for where, identity := range tests {
			t.Run(name+" "+where, func(t *testing.T) {
				hostile := info
				hostile.Claims = claims
				e := cast.NewEncoder(2, hostile)
				lines, _ := e.Append(e.Begin(nil), met(session.Peer{Name: text, Executable: text}))
				lines, changed := e.Append(lines, identified(identity))
				if !changed {
					t.Error("the header did not change")
				}
				slot := e.Header().Slot()
				if len(slot) != cast.SlotSize || bytes.IndexByte(slot, '\n') != cast.SlotSize-1 || !json.Valid(slot) {
					t.Errorf("slot of %d bytes: %.200q", len(slot), slot)
				}
				header, events := decoded(t, append(slot, lines[cast.SlotSize:]...))
				var last cast.Header
				if err := json.Unmarshal([]byte(events[len(events)-1].Data), &last); err != nil {
					t.Error(err)
				}
				if !cmp.Equal(header, last, sameAddr) {
					t.Errorf("the last h says otherwise:\n%.2000s\n%.2000s", slot, events[len(events)-1].Data)
				}
				if header.Facts.ID != info.ID || header.Facts.ExitCode != nil {
					t.Errorf("facts = %+v", header.Facts)
				}
			})
		}
	}
}

func TestALongCommandIsCutAtItsEndAndSaysSo(t *testing.T) {
	for _, words := range [][]string{{"sh", "-c", strings.Repeat("x", 10000)}, repeated(5000, "true", "&&")} {
		long := web
		long.Command = words
		header, _ := decoded(t, write(2, story{identified(long)}))
		got := header.Facts.Identity.Command
		last := len(got) - 1
		if last < 0 || !strings.HasSuffix(got[last], "…") {
			t.Fatalf("command = %.200q", got)
		}
		if begin := strings.TrimSuffix(got[last], "…"); !strings.HasPrefix(words[last], begin) {
			t.Errorf("ends with %.200q", begin)
		}
		if diff := cmp.Diff(words[:last], got[:last]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := len(fmt.Sprint(got)); n < 500 {
			t.Errorf("only %d bytes are left", n)
		}
		long.Command = got
		if diff := cmp.Diff(long, header.Facts.Identity); diff != "" {
			t.Errorf("more than the command was cut (-want +got):\n%s", diff)
		}
	}
}

func TestWhatAnIdentityKeepsOfACommandIsBounded(t *testing.T) {
	e := cast.NewEncoder(2, info)
	e.Append(nil, identified(session.Identity{Command: repeated(1<<20, "yes"), Candidates: slices.Repeat([]session.Candidate{{Pod: "web"}}, 1000)}))
	kept := e.Header().Facts.Identity
	if n := len(strings.Join(kept.Command, "")); n > 16<<10 || len(kept.Candidates) > 64 {
		t.Errorf("kept %d bytes and %d candidates", n, len(kept.Candidates))
	}
}
