// Go's side of src/bin/echo: "serve ADDR BUFFER" or "pairs CONNECTIONS SECONDS".
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	message = 64
	warmUp  = time.Second
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	must(err)
	return n
}

func serve(l net.Listener, buffer int) {
	for {
		conn, err := l.Accept()
		must(err)
		go echo(conn, buffer)
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

// Server and clients in one process.
func pairs(connections, seconds int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go serve(l, 4096)
	var measuring, stopping atomic.Bool
	results := make(chan []uint32)
	for i := 0; i < connections; i++ {
		conn, err := net.Dial("tcp", l.Addr().String())
		must(err)
		go func() {
			var times []uint32
			buf := make([]byte, message)
			for !stopping.Load() {
				sent := time.Now()
				_, err := conn.Write(buf)
				must(err)
				_, err = io.ReadFull(conn, buf)
				must(err)
				if measuring.Load() {
					times = append(times, uint32(min(time.Since(sent).Nanoseconds(), 1<<32-1)))
				}
			}
			results <- times
		}()
	}
	time.Sleep(warmUp)
	start := time.Now()
	measuring.Store(true)
	time.Sleep(time.Duration(seconds) * time.Second)
	stopping.Store(true)
	wall := time.Since(start)
	var all []uint32
	for i := 0; i < connections; i++ {
		all = append(all, <-results...)
	}
	if len(all) == 0 {
		must(fmt.Errorf("no request was answered"))
	}
	slices.Sort(all)
	us := func(i int) float64 { return float64(all[i]) / 1e3 }
	fmt.Printf("requests %d\nrequests_per_s %.0f\np50_us %.1f\np99_us %.1f\nmax_us %.1f\n", len(all),
		float64(len(all))/wall.Seconds(), us(len(all)/2), us(len(all)*99/100), us(len(all)-1))
}

func main() {
	args := os.Args[1:]
	switch {
	case len(args) == 3 && args[0] == "serve":
		buffer := number(args[2])
		l, err := net.Listen("tcp", args[1])
		must(err)
		fmt.Println("listening on", l.Addr())
		serve(l, buffer)
	case len(args) == 3 && args[0] == "pairs":
		pairs(number(args[1]), number(args[2]))
	default:
		must(fmt.Errorf("usage: serve ADDR BUFFER | pairs CONNECTIONS SECONDS"))
	}
}
