// Package meter is what bench/meter.h and bench/port.c are for the C
// programs: a histogram of operation times, the random numbers, and the two
// lines at the end, with the runtime's own account of its collections.
package meter

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"runtime/metrics"
	"sort"
	"strconv"
	"time"
)

const stallNs, stallsMost = 20000, 4096

var windows = [3]uint64{1e6, 1e7, 1e8}

type stall struct{ start, ns, before uint64 }

// Meter counts times in buckets of 16 per doubling, and keeps what took long;
// see bench/meter.h.
type Meter struct {
	count, max uint64
	bucket     [16 * 61]uint64
	stalls     []stall
	floor      uint64
	stalled    [len(windows)]uint64
}

var epoch = time.Now()

// Now is in nanoseconds.  Since reads the monotonic clock only.
func Now() uint64 { return uint64(time.Since(epoch)) }

func index(ns uint64) int {
	if ns < 16 {
		return int(ns)
	}
	shift := 59 - bits.LeadingZeros64(ns)
	return 16*shift + int(ns>>shift)
}

func (m *Meter) Add(ns uint64) {
	m.count++
	m.bucket[index(ns)]++
	if ns > m.max {
		m.max = ns
	}
	if ns >= stallNs {
		m.stall(ns)
	}
}

// Lap: the operation that began at *last is done, and the next one begins.
func (m *Meter) Lap(last *uint64) {
	now := Now()
	m.Add(now - *last)
	*last = now
}

func (m *Meter) Merge(from *Meter) {
	m.count += from.count
	m.max = max(m.max, from.max)
	for i, n := range from.bucket {
		m.bucket[i] += n
	}
	m.mergeStalls(from)
}

// stall notes one that has just ended; the shorter ones go for lack of room.
func (m *Meter) stall(ns uint64) {
	start := Now() - ns
	if m.stalls == nil {
		m.stalls = make([]stall, 0, stallsMost)
	}
	for len(m.stalls) == stallsMost {
		m.floor = 2 * max(m.floor, stallNs)
		kept := m.stalls[:0]
		for _, s := range m.stalls {
			if s.ns >= m.floor {
				kept = append(kept, s)
			}
		}
		m.stalls = kept
	}
	if ns >= m.floor {
		m.stalls = append(m.stalls, stall{start, ns, 0})
	}
}

// settle leaves those that are long beside the median, and apart.
func (m *Meter) settle() {
	floor, end, before := 8*m.at(0.5), uint64(0), uint64(0)
	kept := m.stalls[:0]
	for _, s := range m.stalls {
		if s.ns < floor {
			continue
		}
		ends := s.start + s.ns
		s.start = max(s.start, end)
		s.ns = ends - s.start
		s.before = before
		before += s.ns
		end = ends
		kept = append(kept, s)
	}
	m.stalls = kept
}

// until is how much of the time up to t was stalled.
func (m *Meter) until(t uint64) uint64 {
	n := sort.Search(len(m.stalls), func(i int) bool {
		return m.stalls[i].start >= t
	})
	if n == 0 {
		return 0
	}
	s := m.stalls[n-1]
	return s.before + min(t-s.start, s.ns)
}

// most is the most in any window of that length.
func (m *Meter) most(window uint64) (most uint64) {
	for _, s := range m.stalls {
		end := s.start + s.ns
		most = max(most, m.until(s.start+window)-m.until(s.start),
			m.until(end)-m.until(end-min(end, window)))
	}
	return
}

// mergeStalls adds what from kept to m.stalled; from may be m.
func (m *Meter) mergeStalls(from *Meter) {
	from.settle()
	for i, w := range windows {
		m.stalled[i] = max(m.stalled[i], from.most(w))
	}
}

// utilisation is in permille of each window.
func (m *Meter) utilisation() (mmu [len(windows)]uint64) {
	m.mergeStalls(m)
	for i, w := range windows {
		mmu[i] = 1000 * (w - min(w, m.stalled[i])) / w
	}
	return
}

// at is the time within which that share of the operations was done.
func (m *Meter) at(share float64) uint64 {
	want, seen := uint64(share*float64(m.count)), uint64(0)
	for i, n := range m.bucket {
		seen += n
		if seen > want {
			shift := max(i/16-1, 0)
			return min(uint64(i+1-16*shift)<<shift, m.max)
		}
	}
	return m.max
}

// pauses finds the p99.9 and the maximum of the runtime's histogram of
// pauses, in nanoseconds: upper ends of its buckets.
func pauses(h *metrics.Float64Histogram) (p999, most uint64) {
	var all, seen uint64
	for _, n := range h.Counts {
		all += n
	}
	want := uint64(0.999 * float64(all))
	for i, n := range h.Counts {
		end := h.Buckets[i+1]
		if math.IsInf(end, 1) {
			end = h.Buckets[i]
		}
		seen += n
		if n > 0 {
			most = uint64(end * 1e9)
		}
		if seen > want && p999 == 0 && n > 0 {
			p999 = most
		}
	}
	return
}

// Report prints the lines that bench/run collects.
func Report(m *Meter, check uint64) {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/sched/pauses/total/gc:seconds"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(s)
	p999, most := pauses(s[2].Value.Float64Histogram())
	fmt.Printf("CHECK %016x\n", check)
	mmu := m.utilisation()
	fmt.Fprintf(os.Stderr, "BENCH ops=%d op_p999_ns=%d op_max_ns=%d "+
		"mmu1=%d mmu10=%d mmu100=%d "+
		"cycles=%d gc_cpu_ns=%d hold_p999_ns=%d hold_max_ns=%d "+
		"alloc_bytes=%d\n",
		m.count, m.at(0.999), m.max, mmu[0], mmu[1], mmu[2],
		s[0].Value.Uint64(), uint64(s[1].Value.Float64()*1e9), p999, most,
		s[3].Value.Uint64())
}

// Scramble is every program's source of random numbers (splitmix64).
func Scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ScrambleBytes makes what the programs fill their texts with.
func ScrambleBytes(to []byte) {
	for i := range to {
		to[i] = byte(Scramble(uint64(i)))
	}
}

// Size is argument i; what names it when it is missing.
func Size(i int, what string) uint64 {
	if i < len(os.Args) {
		n, err := strconv.ParseUint(os.Args[i], 10, 64)
		if err == nil && n > 0 {
			return n
		}
	}
	fmt.Fprintf(os.Stderr, "argument %d must be the %s\n", i, what)
	os.Exit(2)
	return 0
}

// Threads is argument i, of at most 64; 2 if it is not there.
func Threads(i int) uint64 {
	if i >= len(os.Args) {
		return 2
	}
	return min(Size(i, "number of threads"), 64)
}
