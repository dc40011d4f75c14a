package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A saboteur stands in for an iptables-restore or -save, and at one of its runs
// kills the exectape that runs it, or asks it to stop, or takes its time.
const saboteur = `#!/bin/sh
dir=${0%/*}
echo >> $dir/count
n=$(wc -l < $dir/count)
[ "$n before" = "$(cat $dir/when)" ] && kill -9 $PPID && exit 1
[ "$n stops" = "$(cat $dir/when)" ] && kill $PPID
"$(cat $dir/real)" "$@"
code=$?
[ "$n waits" = "$(cat $dir/when)" ] && sleep 2
[ "$n after" = "$(cat $dir/when)" ] && kill -9 $PPID
exit $code
`

// sabotaged returns a PATH with a saboteur first.
func sabotaged(t *testing.T, program, when string) string {
	t.Helper()
	found, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{program: saboteur, "when": when, "real": found} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}
