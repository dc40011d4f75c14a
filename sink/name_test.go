package sink_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
)

var web = session.Identity{
	Namespace: "shop", Pod: "web-5d9", Container: "app", ContainerID: strings.Repeat("4f", 32),
	Command: []string{"sh", "-c", "echo é"}, User: "0:0", Source: "runtime", Confidence: session.ConfidenceExact,
}

func identified(i session.Identity) session.Event {
	return session.Event{Kind: session.Identified, Identity: &i}
}

// named returns web with other names.
func named(namespace, pod, container string) session.Identity {
	i := web
	i.Namespace, i.Pod, i.Container = namespace, pod, container
	return i
}

const key = "20261123T173105Z_7f3a9c01"

func TestAFinishedCastIsNamedAfterItsContainer(t *testing.T) {
	pod := strings.Repeat("p", 240) + "-5d9"
	unsure := web
	unsure.Confidence = session.ConfidenceAmbiguous
	tests := []struct {
		name string
		who  session.Identity
		want string
	}{
		{"nobody knows whose it is", session.Identity{}, "20261123T173105Z_7f3a9c01"},
		{"it may be another's", unsure, "20261123T173105Z_7f3a9c01"},
		{"an ordinary one", web, "20261123T173105Z_shop_web-5d9_app_7f3a9c01"},
		{"dots", named("shop", "web.5.d9", "app"), "20261123T173105Z_shop_web.5.d9_app_7f3a9c01"},
		{"a pod with the longest name", named("shop", pod, "app"), "20261123T173105Z_shop_" + strings.Repeat("p", 40) + "~" + strings.Repeat("p", 35) + "-5d9_app_7f3a9c01"},
		{"a way out", named("..", "../../etc/passwd", "/"), "20261123T173105Z_.._..~..~etc~passwd_~_7f3a9c01"},
		{"separators", named("a_b", "c__d", "_"), "20261123T173105Z_a~b_c~~d_~_7f3a9c01"},
		{"endings", named("a.cast", "b.cast.part", "c.json"), "20261123T173105Z_a.cast_b.cast.part_c.json_7f3a9c01"},
		{"control characters", named("a\nb", "c\x00d", "\x1b[2J"), "20261123T173105Z_a~b_c~d_~~2~_7f3a9c01"},
		{"capitals and runes", named("Shop", "wéb", "\xff"), "20261123T173105Z_~hop_w~~b_~_7f3a9c01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := sink.FinishedStem(key, test.who)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var safeName = regexp.MustCompile(`^20261123T173105Z_([a-z0-9.~-]+_){3}7f3a9c01$`)

func FuzzNoNameOfAContainerEscapes(f *testing.F) {
	f.Add("shop", "web-5d9", "app")
	f.Fuzz(func(t *testing.T, namespace, pod, container string) {
		stem := sink.FinishedStem(key, named(namespace, pod, container))
		if namespace == "" || pod == "" || container == "" {
			if stem != key {
				t.Errorf("%q is named after nobody", stem)
			}
			return
		}
		if !safeName.MatchString(stem) {
			t.Errorf("%q is not safe", stem)
		}
		for _, suffix := range []string{".cast", ".json.tmp", ".acknowledged", ".cast.json.tmp"} {
			if n := len(stem + suffix); n > 255 {
				t.Errorf("%d bytes with %s", n, suffix)
			}
		}
		name := stem + ".cast"
		if sink.Key(name) != key || sink.ID(name) != "7f3a9c01" || sink.Stem(name) != stem || sink.IsLive(name) || !sink.IsFinished(name) {
			t.Errorf("%q is taken for another's", name)
		}
	})
}

func TestTheFilesOfAHostileContainerAreWhereTheyBelong(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "casts")
	d := openDir(t, dir)
	for i, who := range []session.Identity{named("../x", "/etc/passwd", "..\n"), named(strings.Repeat("n", 999), strings.Repeat("../", 999), strings.Repeat("\x00", 999)), web} {
		r := begin(t, d, []string{"00000001", "00000002", "00000003"}[i])
		record(t, r, identified(who), output(session.Stdout, "one\n"))
		must(t, r.Close(session.End{Reason: session.EndCompleted}))
	}
	if diff := cmp.Diff([]string{"casts"}, names(t, parent)); diff != "" {
		t.Errorf("beside the directory (-want +got):\n%s", diff)
	}
	all, err := sink.List(dir)
	must(t, err)
	if len(all) != 3 || len(names(t, dir)) != 6 {
		t.Errorf("%d casts in %q", len(all), names(t, dir))
	}
	for _, e := range all {
		if e.Err != nil || e.Summary.SHA256 != sha(t, e.Path) {
			t.Errorf("%+v", e)
		}
	}
}

func TestAnIdentityIsInTheSummary(t *testing.T) {
	dir := t.TempDir()
	info := newInfo("7f3a9c01")
	info.Claims = session.Claims{"User-Agent": "kubectl/v1.37.2"}
	r, err := openDir(t, dir).Open(info)
	must(t, err)
	record(t, r, output(session.Stdout, "$ "), identified(web))
	for range 2 { // live, then finished
		e := only(t, dir)
		if diff := cmp.Diff(web, e.Summary.Identity); diff != "" {
			t.Errorf("live %v: identity (-want +got):\n%s", e.Live, diff)
		}
		if diff := cmp.Diff(info.Claims, e.Summary.Claims); diff != "" {
			t.Errorf("live %v: claims (-want +got):\n%s", e.Live, diff)
		}
		if e.Live {
			must(t, r.Close(session.End{Reason: session.EndCompleted}))
		}
	}
	if want := info.Start.UTC().Format("20060102T150405Z") + "_shop_web-5d9_app_7f3a9c01.cast"; filepath.Base(only(t, dir).Path) != want {
		t.Errorf("%s, want %s", only(t, dir).Path, want)
	}
	if named, ok := r.(interface{ Name() string }); !ok || named.Name() != filepath.Base(only(t, dir).Path) {
		t.Errorf("its recording has another name")
	}
}

func TestALeftoverIsNamedAfterItsContainer(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	r := begin(t, d, "7f3a9c01")
	record(t, r, identified(web), output(session.Stdout, "one\n"))
	left, err := os.ReadFile(only(t, dir).Path)
	must(t, err)
	must(t, r.Close(session.End{}))

	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, key+".cast.part"), left, 0o600))
	must(t, openDir(t, dir).Recover(t.Context()))
	stem := "20261123T173105Z_shop_web-5d9_app_7f3a9c01"
	if diff := cmp.Diff([]string{stem + ".cast", stem + ".json"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if e := only(t, dir); e.Summary.Identity.Pod != "web-5d9" || e.Summary.EndReason != session.EndInterrupted {
		t.Errorf("%+v", e.Summary)
	}

	// Its summary was all that was missing: it keeps the name that it has.
	must(t, os.Remove(filepath.Join(dir, stem+".json")))
	must(t, os.WriteFile(filepath.Join(dir, stem+".json.tmp"), []byte(`{"id"`), 0o600))
	must(t, openDir(t, dir).Recover(t.Context()))
	if diff := cmp.Diff([]string{stem + ".cast", stem + ".json"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestACastIsOpenedByTheNameThatItHadWhileLive(t *testing.T) {
	for _, who := range []session.Identity{{}, web} {
		dir := t.TempDir()
		info := newInfo("7f3a9c01")
		info.Start = time.Date(2026, 11, 23, 17, 31, 5, 0, time.UTC)
		r, err := openDir(t, dir).Open(info)
		must(t, err)
		record(t, r, identified(who), output(session.Stdout, "one\n"))
		for range 2 { // live, then finished
			for _, name := range []string{key, key + ".cast.part", filepath.Base(only(t, dir).Path)} {
				file, err := sink.Open(dir, name)
				must(t, err)
				if b, err := io.ReadAll(file); err != nil || !strings.Contains(string(b), "one") {
					t.Errorf("%s: %q, %v", name, b, err)
				}
				must(t, file.Close())
			}
			if only(t, dir).Live {
				must(t, r.Close(session.End{Reason: session.EndCompleted}))
			}
		}
		if _, err := sink.Open(dir, "20261123T173105Z_7f3a9c02"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("another session's: %v", err)
		}
	}
}
