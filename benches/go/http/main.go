// HTTP hello with net/http: "http ADDR".
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

var body = []byte("hello, gopher\n")

func main() {
	address := "127.0.0.1:8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	l, err := net.Listen("tcp", address)
	if err == nil {
		fmt.Println("listening on", l.Addr())
		err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Write(body)
		}))
	}
	fmt.Fprintln(os.Stderr, "http:", err)
	os.Exit(1)
}
