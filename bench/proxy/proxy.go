// Package proxy has the proxies that exectape is compared with and that are no
// programs of their own: the least that can stand between two connections, and
// a recording connection that others run.
package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"

	"exectape/bench/contender"
)

// Run runs the proxy of this name until it is killed.
func Run(name string, target netip.AddrPort, dir string) error {
	serve := map[string]func(client, target *net.TCPConn) error{
		"splice":    splice,
		"copy":      plainCopy,
		"tailscale": tailscale{dir}.serve,
	}[name]
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	fmt.Printf("%s%v\n", contender.Listening, ln.Addr())
	for {
		client, err := ln.AcceptTCP()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			to, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(target))
			if err != nil {
				fmt.Println("dial:", err)
				return
			}
			defer to.Close()
			if err := serve(client, to); err != nil {
				fmt.Println("serve:", err)
			}
		}()
	}
}

// splice copies both ways in the kernel, as io.Copy does between sockets.
func splice(client, target *net.TCPConn) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(target, client)
		_ = target.CloseWrite()
	}()
	_, _ = io.Copy(client, target)
	_ = client.CloseWrite()
	<-done
	return nil
}

// plainCopy copies both ways through memory, in pieces of 32 KiB.
func plainCopy(client, target *net.TCPConn) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(struct{ io.Writer }{target}, struct{ io.Reader }{client})
		_ = target.CloseWrite()
	}()
	_, _ = io.Copy(struct{ io.Writer }{client}, struct{ io.Reader }{target})
	_ = client.CloseWrite()
	<-done
	return nil
}
