// Go's server for src/bin/echo: "serve ADDR BUFFER".
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func echo(conn net.Conn, buffer int) {
	defer conn.Close()
	buf := make([]byte, buffer)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 4 || os.Args[1] != "serve" {
		must(fmt.Errorf("usage: serve ADDR BUFFER"))
	}
	buffer, err := strconv.Atoi(os.Args[3])
	must(err)
	l, err := net.Listen("tcp", os.Args[2])
	must(err)
	fmt.Println("listening on", l.Addr())
	for {
		conn, err := l.Accept()
		must(err)
		go echo(conn, buffer)
	}
}
