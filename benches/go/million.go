// Go's side of src/bin/million: the same steps, and the same lines of output, "key value".
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

func waitFor(counter *atomic.Int64, count int) {
	for counter.Load() < int64(count) {
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
	for runtime.NumGoroutine() > 1 {
		time.Sleep(200 * time.Microsecond)
	}
	time.Sleep(time.Second)
}

func million(count int) {
	warmUp()
	var blocked atomic.Int64
	done := make(chan struct{})

	rss0, pte0 := statusKB("VmRSS"), statusKB("VmPTE")
	creating := time.Now()
	cpuMs, _ := rusage()
	go func() {
		for i := 0; i < count; i++ {
			go func() {
				blocked.Add(1)
				<-done
			}()
		}
	}()
	waitFor(&blocked, count)
	created := time.Since(creating)
	createdMs, _ := rusage()
	time.Sleep(300 * time.Millisecond) // the last ones block, a collection that runs ends; not timed

	rss1, pte1 := statusKB("VmRSS"), statusKB("VmPTE")
	maps, err := os.ReadFile("/proc/self/maps")
	check(err == nil, "/proc/self/maps")

	waking := time.Now()
	close(done)
	for runtime.NumGoroutine() > 1 {
		time.Sleep(200 * time.Microsecond)
	}
	woken := time.Since(waking)

	// Memory goes back as Go does it by itself: no debug.FreeOSMemory.
	end := time.Now()
	start := rss0 + pte0
	left := statusKB("VmRSS") + statusKB("VmPTE")
	for left > start+start/10 && time.Since(end) < 5*time.Second {
		time.Sleep(50 * time.Millisecond)
		left = statusKB("VmRSS") + statusKB("VmPTE")
	}

	fmt.Println("rss_before_kb", rss0)
	fmt.Println("pte_before_kb", pte0)
	fmt.Println("rss_blocked_kb", rss1)
	fmt.Println("pte_blocked_kb", pte1)
	fmt.Println("mappings", bytes.Count(maps, []byte("\n")))
	fmt.Println("create_ns", created.Nanoseconds())
	fmt.Printf("create_cpu_ns %.0f\n", (createdMs-cpuMs)*1e6)
	fmt.Println("wake_ns", woken.Nanoseconds())
	fmt.Println("left_kb", left)
	fmt.Println("return_ms", time.Since(end).Milliseconds())
}

// The ring of main.go, but with a token that comes round again.
func bigRing(count int) {
	var started atomic.Int64
	chs := make([]chan int, count)
	for i := range chs {
		chs[i] = make(chan int)
	}
	finish := make(chan struct{})
	for i := 0; i < count; i++ {
		in, out := chs[i], chs[(i+1)%count]
		go func() {
			started.Add(1)
			for v := range in {
				if v == 0 {
					finish <- struct{}{}
				} else {
					out <- v - 1
				}
			}
		}()
	}
	waitFor(&started, count)
	time.Sleep(100 * time.Millisecond)

	chs[0] <- count // warm up
	<-finish
	hops := 3 * count
	t := time.Now()
	chs[0] <- hops
	<-finish
	fmt.Println("hop_ns", float64(time.Since(t).Nanoseconds())/float64(hops))
}
