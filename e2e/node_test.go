package e2e_test

import (
	"os"
	"testing"
)

func TestACastSaysWhichNodeItIsFrom(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  []string
		want string
	}{
		{"that of EXECTAPE_NODE_NAME", []string{"EXECTAPE_NODE_NAME=node-7"}, "node-7"},
		{"else the host's", nil, host},
	} {
		t.Run(test.name, func(t *testing.T) {
			runtime := startLocal(t)
			e, k := startUploader(t, append(test.env, "EXECTAPE_TARGETS="+runtime.Streaming.String())...)
			u := run(t, k, runtime, cat)
			u.types("hello\n")
			u.sees("hello\n")
			if live := e.sessions(); len(live) != 1 || live[0].Node != test.want {
				t.Errorf("sessions: %+v, want one of node %q", live, test.want)
			}
			u.endsStdin()
			u.leaves()
			r := e.recorded()
			if r.Node != test.want {
				t.Errorf("the summary's node is %q, want %q", r.Node, test.want)
			}
			e.run("verify", r.file) // its header says the same
		})
	}
}
