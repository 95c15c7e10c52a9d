// Go's side of src/bin/million: the same steps, and the same lines of output, "key value".
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Returns a field of /proc/self/status in KiB.
func statusKB(key string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "/proc/self/status")
	_, rest, _ := strings.Cut(string(text), key+":")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	check(err == nil, key)
	return kb
}

func waitForEnd() {
	for runtime.NumGoroutine() > 1 {
		time.Sleep(200 * time.Microsecond)
	}
}

// What grows once and for all (code that is read, the first arenas) belongs to the start.
func warmUp() {
	done := make(chan struct{})
	for i := 0; i < 20_000; i++ {
		go func() { <-done }()
	}
	close(done)
	waitForEnd()
	time.Sleep(time.Second)
}

func million(count int) {
	warmUp()
	var blocked atomic.Int64
	done := make(chan struct{})

	rss0, pte0 := statusKB("VmRSS"), statusKB("VmPTE")
	creating := time.Now()
	go func() {
		for i := 0; i < count; i++ {
			go func() {
				blocked.Add(1)
				<-done
			}()
		}
	}()
	for blocked.Load() < int64(count) {
		time.Sleep(200 * time.Microsecond)
	}
	created := time.Since(creating)
	time.Sleep(300 * time.Millisecond) // the last ones block, a collection that runs ends; not timed

	rss1, pte1 := statusKB("VmRSS"), statusKB("VmPTE")
	maps, err := os.ReadFile("/proc/self/maps")
	check(err == nil, "/proc/self/maps")

	waking := time.Now()
	close(done)
	waitForEnd()
	woken := time.Since(waking)

	// Memory goes back as Go does it by itself: no debug.FreeOSMemory.
	end := time.Now()
	enough := (rss0 + pte0) * 11 / 10
	for statusKB("VmRSS")+statusKB("VmPTE") > enough && time.Since(end) < 5*time.Second {
		time.Sleep(50 * time.Millisecond)
	}

	each := func(total int64) float64 { return float64(total) / float64(count) }
	fmt.Println("rss_bytes", each((rss1-rss0)*1024))
	fmt.Println("pte_bytes", each((pte1-pte0)*1024))
	fmt.Println("mappings", bytes.Count(maps, []byte("\n")))
	fmt.Println("create_ns", each(created.Nanoseconds()))
	fmt.Println("wake_ns", each(woken.Nanoseconds()))
	fmt.Println("return_ms", time.Since(end).Milliseconds())
}
