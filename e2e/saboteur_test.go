package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A saboteur stands in for an iptables-restore or -save, and at one of its runs
// kills the exectape that runs it, or asks it to stop, or takes its time: until
// there is a certain file, and some more.
const saboteur = `#!/bin/sh
dir=${0%/*}
echo >> $dir/count
n=$(wc -l < $dir/count)
read -r run does file < $dir/when
[ $n = $run ] || does=nothing
[ $does = before ] && kill -9 $PPID && exit 1
[ $does = stops ] && kill $PPID
"$(cat $dir/real)" "$@"
code=$?
if [ $does = waits ]; then
	until [ -e "$file" ]; do sleep 0.1; done
	sleep 2
fi
[ $does = after ] && kill -9 $PPID
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
