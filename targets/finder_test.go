package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A host is one whose processes and sockets the tests make up. Its servers are
// in memory, so that its time can be made up, too.
type host struct {
	t      *testing.T
	finder *Finder
	pids   int

	mu      sync.Mutex // guards what follows, which Run asks for
	sockets []listener
	servers map[string]http.Handler // by address; others don't answer
}

type socket struct {
	addr       string
	uid, inode uint32
}

// newHost returns one with nothing but init, in a synctest bubble.
func newHost(t *testing.T, test func(*host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &host{t: t, servers: make(map[string]http.Handler)}
		h.finder = &Finder{Set: new(Set), Dial: h.dial, Log: zap.NewNop(), proc: t.TempDir()}
		h.finder.listening = func() ([]listener, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.sockets, nil
		}
		h.process("systemd", "0 0 0 0")
		test(h)
	})
}

func (h *host) write(name, content string) {
	h.t.Helper()
	file := filepath.Join(h.finder.proc, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// process starts a process of users, which has the sockets of inodes.
func (h *host) process(comm, users string, inodes ...uint32) (pid string) {
	h.t.Helper()
	h.pids++
	pid = fmt.Sprint(h.pids)
	h.write(pid+"/comm", comm+"\n")
	h.write(pid+"/status", "Name:\t"+comm+"\nUid:\t"+strings.ReplaceAll(users, " ", "\t")+"\nGid:\t0\t0\t0\t0\n")
	if err := os.MkdirAll(filepath.Join(h.finder.proc, pid, "fd"), 0o755); err != nil {
		h.t.Fatal(err)
	}
	for i, inode := range inodes {
		if err := os.Symlink(fmt.Sprintf("socket:[%d]", inode), filepath.Join(h.finder.proc, pid, "fd", fmt.Sprint(i+3))); err != nil {
			h.t.Fatal(err)
		}
	}
	return pid
}

// end ends a process.
func (h *host) end(pid string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.finder.proc, pid)); err != nil {
		h.t.Fatal(err)
	}
}

// listens is all that listens from now on.
func (h *host) listens(sockets ...socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets = nil
	for _, s := range sockets {
		h.sockets = append(h.sockets, listener{addr: netip.MustParseAddrPort(s.addr), uid: s.uid, inode: s.inode})
	}
}

// serves is what answers at addr from now on.
func (h *host) serves(addr string, handler http.Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers[addr] = handler
}

func (h *host) dial(_ context.Context, _, address string) (net.Conn, error) {
	h.mu.Lock()
	handler := h.servers[address]
	h.mu.Unlock()
	if handler == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	ln := &oneConn{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	ln.conn <- &lastConn{server, ln}
	go func() { _ = http.Serve(ln, handler) }() // it ends with the connection
	return client, nil
}

// oneConn is a listener to which one connection comes.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// lastConn ends its listener.
type lastConn struct {
	net.Conn
	listener *oneConn
}

func (c *lastConn) Close() error {
	select {
	case <-c.listener.done:
	default:
		close(c.listener.done)
	}
	return c.Conn.Close()
}

// wants looks, and fails the test if the targets are not those.
func (h *host) wants(texts ...string) {
	h.t.Helper()
	h.finder.Look(h.t.Context())
	got, _ := h.finder.Set.Current()
	if diff := cmp.Diff(addrs(texts...), got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		h.t.Errorf("targets (-want +got):\n%s", diff)
	}
}

// says fails the test if the set has no error with these words.
func (h *host) says(words string) {
	h.t.Helper()
	if err := h.finder.Set.Err(); err == nil || !strings.Contains(err.Error(), words) {
		h.t.Errorf("the set's error is %v, want one with %q", err, words)
	}
}

const root = "0 0 0 0"

func TestTheStreamingServerOfEachRuntimeIsFound(t *testing.T) {
	newHost(t, func(h *host) {
		h.process("containerd", root, 101, 102, 103)
		h.process("crio", root, 201)
		h.process("conmonrs", root, 301)
		h.process("conmonrs", root, 302)
		h.process("cri-dockerd", root, 401)
		h.listens(
			socket{"127.0.0.1:34567", 0, 101}, socket{"127.0.0.1:1338", 0, 102}, socket{"127.0.0.1:9999", 0, 103},
			socket{"10.1.2.3:10010", 0, 201},
			socket{"127.0.0.1:40001", 0, 301}, socket{"127.0.0.1:40002", 0, 302},
			socket{"[::]:38099", 0, 401})
		h.serves("127.0.0.1:34567", criStreaming(""))
		h.serves("127.0.0.1:1338", metrics())
		h.serves("10.1.2.3:10010", criStreaming(""))
		h.serves("127.0.0.1:40001", conmonRS())
		h.serves("127.0.0.1:40002", conmonRS())
		h.serves("127.0.0.1:38099", criStreaming("/cri"))
		h.serves("[::1]:38099", criStreaming("/cri"))
		h.wants("10.1.2.3:10010", "127.0.0.1:34567", "127.0.0.1:38099", "127.0.0.1:40001", "127.0.0.1:40002", "[::1]:38099")
		if err := h.finder.Set.Err(); err != nil {
			t.Errorf("what else a runtime listens on is told as an error: %v", err)
		}
	})
}

func TestStrangersAreNoTargets(t *testing.T) {
	for _, stranger := range []struct {
		name, comm, users string
		uid               uint32
	}{
		{"root's by another name", "nginx", root, 0},
		{"a user's by the name of a runtime", "containerd", "1000 1000 1000 1000", 1000},
		{"a user's who has started a program that is setuid", "containerd", "1000 0 0 0", 0},
		{"a user's whose socket root has made", "containerd", "1000 1000 1000 1000", 0},
		{"root's in a user namespace", "containerd", "100000 100000 100000 100000", 100000},
		{"root's with a socket that a user has made", "containerd", root, 1000},
	} {
		t.Run(stranger.name, func(t *testing.T) {
			newHost(t, func(h *host) {
				h.process(stranger.comm, stranger.users, 101)
				h.listens(socket{"127.0.0.1:34567", stranger.uid, 101})
				h.serves("127.0.0.1:34567", criStreaming(""))
				h.wants()
				if h.finder.Set.Err() == nil {
					t.Error("that no target is known is no error")
				}
			})
		})
	}
}

func TestARuntimeIsFollowedToAnotherPort(t *testing.T) {
	newHost(t, func(h *host) {
		pid := h.process("containerd", root, 101)
		h.listens(socket{"127.0.0.1:34567", 0, 101})
		h.serves("127.0.0.1:34567", criStreaming(""))
		h.wants("127.0.0.1:34567")
		h.end(pid)
		h.process("containerd", root, 102)
		h.listens(socket{"127.0.0.1:40000", 0, 102})
		h.serves("127.0.0.1:40000", criStreaming(""))
		time.Sleep(interval)
		// A token that was given out for the old one may still be on its way.
		h.wants("127.0.0.1:34567", "127.0.0.1:40000")
		time.Sleep(kept - interval)
		h.wants("127.0.0.1:34567", "127.0.0.1:40000")
		time.Sleep(interval)
		h.wants("127.0.0.1:40000")
	})
}

func TestARuntimeThatStartsAgainOnItsPortWasNeverGone(t *testing.T) {
	newHost(t, func(h *host) {
		pid := h.process("containerd", root, 101)
		h.listens(socket{"127.0.0.1:34567", 0, 101})
		h.serves("127.0.0.1:34567", criStreaming(""))
		h.wants("127.0.0.1:34567")
		_, changed := h.finder.Set.Current()
		h.end(pid)
		h.listens()
		h.serves("127.0.0.1:34567", nil)
		time.Sleep(interval)
		h.wants("127.0.0.1:34567")
		// It listens before it answers.
		h.process("containerd", root, 102)
		h.listens(socket{"127.0.0.1:34567", 0, 102})
		time.Sleep(interval)
		h.wants("127.0.0.1:34567")
		h.serves("127.0.0.1:34567", criStreaming(""))
		time.Sleep(interval)
		h.wants("127.0.0.1:34567")
		time.Sleep(2 * kept)
		h.wants("127.0.0.1:34567")
		select {
		case <-changed:
			t.Error("it was told of as a change")
		default:
		}
	})
}

func TestWhoeverTakesARuntimesPlaceIsNoTarget(t *testing.T) {
	const runtime4, runtime6 = "127.0.0.1:34567", "[::1]:34567"
	for _, test := range []struct {
		name    string
		runtime string
		other   string
		only6   bool // the other is
		takes   bool
	}{
		{"its very address", runtime4, "127.0.0.1:34567", false, true},
		{"another port", runtime4, "127.0.0.1:34568", false, false},
		{"a wildcard", runtime4, "0.0.0.0:34567", false, true},
		{"a wildcard of IPv6", runtime4, "[::]:34567", false, true},
		{"a wildcard of IPv6 only", runtime4, "[::]:34567", true, false},
		{"of IPv6 a wildcard of IPv6", runtime6, "[::]:34567", false, true},
		{"of IPv6 a wildcard of IPv6 only", runtime6, "[::]:34567", true, true},
		{"of IPv6 a wildcard of IPv4", runtime6, "0.0.0.0:34567", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			newHost(t, func(h *host) {
				pid := h.process("containerd", root, 101)
				h.listens(socket{test.runtime, 0, 101})
				h.serves(test.runtime, criStreaming(""))
				h.wants(test.runtime)
				h.end(pid)
				h.process("nginx", "1000 1000 1000 1000", 102)
				h.listens(socket{test.other, 1000, 102})
				h.sockets[0].only6 = test.only6
				time.Sleep(interval)
				if test.takes {
					h.wants()
				} else {
					h.wants(test.runtime) // which may come back
				}
			})
		})
	}
}

func TestARuntimeThatIsSlowToAnswerIsAskedAgain(t *testing.T) {
	newHost(t, func(h *host) {
		h.process("containerd", root, 101)
		h.listens(socket{"127.0.0.1:34567", 0, 101})
		h.wants()
		h.says("127.0.0.1:34567 of containerd (process 2) is no streaming server: ")
		h.says("connection refused")
		h.serves("127.0.0.1:34567", criStreaming(""))
		time.Sleep(interval)
		h.wants("127.0.0.1:34567")
	})
}

func TestATargetThatStopsAnsweringStaysOne(t *testing.T) {
	newHost(t, func(h *host) {
		h.process("containerd", root, 101)
		h.listens(socket{"127.0.0.1:34567", 0, 101})
		h.serves("127.0.0.1:34567", criStreaming(""))
		h.wants("127.0.0.1:34567")
		h.serves("127.0.0.1:34567", nil)
		h.listens(socket{"127.0.0.1:34567", 0, 101}, socket{"127.0.0.1:80", 0, 102})
		time.Sleep(2 * kept)
		h.wants("127.0.0.1:34567")
	})
}

func TestRunLooksAgainAndAgain(t *testing.T) {
	newHost(t, func(h *host) {
		h.listens()
		ctx, cancel := context.WithCancel(h.t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.finder.Run(ctx) }()
		synctest.Wait()
		_, changed := h.finder.Set.Current()
		h.process("containerd", root, 101)
		h.serves("127.0.0.1:34567", criStreaming(""))
		h.listens(socket{"127.0.0.1:34567", 0, 101})
		<-changed
		cancel()
		<-done
	})
}

func TestWhyNothingIsFoundIsToldPlainly(t *testing.T) {
	t.Run("no runtime", func(t *testing.T) {
		newHost(t, func(h *host) {
			h.listens()
			h.wants()
			h.says("no runtime is among the 1 processes that can be seen")
			h.says("hostPID: true")
		})
	})
	t.Run("another network", func(t *testing.T) {
		newHost(t, func(h *host) {
			h.process("crio", root, 101)
			h.listens()
			h.wants()
			h.says("crio (process 2) listens nowhere in this network")
			h.says("hostNetwork: true")
		})
	})
	t.Run("another port only", func(t *testing.T) {
		newHost(t, func(h *host) {
			h.process("crio", root, 101)
			h.listens(socket{"127.0.0.1:9537", 0, 101})
			h.serves("127.0.0.1:9537", metrics())
			h.wants()
			h.says("it answers DELETE /cri/exec/" + noToken + " with 404, a streaming server does with 405")
		})
	})
	t.Run("no /proc", func(t *testing.T) {
		newHost(t, func(h *host) {
			h.finder.proc = filepath.Join(h.finder.proc, "nothing")
			h.finder.Look(h.t.Context())
			h.says("can't look for the runtimes")
		})
	})
}
