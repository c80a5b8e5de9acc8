// ephemerons: see bench/ephemerons.c, of which this is the same program.
// The lock is there because cleanups run in a goroutine of the runtime's.
package main

import (
	"runtime"
	"sync"
	"weak"

	"bench/meter"
)

type owner struct {
	name []byte
	id   uint64
}

type side struct {
	text  []byte
	value uint64
}

const nameSize, textSize = 24, 40

var (
	m       meter.Meter
	pattern [256 + nameSize + textSize]byte
	lock    sync.Mutex
	table   map[weak.Pointer[owner]]*side
	slots   []*owner
)

func drop(w weak.Pointer[owner]) {
	lock.Lock()
	delete(table, w)
	lock.Unlock()
}

func sidePut(o *owner, s *side) {
	w := weak.Make(o)
	lock.Lock()
	table[w] = s
	lock.Unlock()
	runtime.AddCleanup(o, drop, w)
}

func sideOf(o *owner) *side {
	w := weak.Make(o)
	lock.Lock()
	s := table[w]
	lock.Unlock()
	return s
}

func newBytes(n int, r uint64) []byte {
	b := make([]byte, n)
	copy(b, pattern[r%256:])
	return b
}

func ownerPut(at **owner, id uint64) {
	r := meter.Scramble(id)
	o := &owner{newBytes(nameSize, r), id}
	s := &side{newBytes(textSize, id), r}
	sidePut(o, s)
	*at = o
}

func (o *owner) use() uint64 {
	s := sideOf(o)
	s.value = meter.Scramble(s.value + o.id)
	return s.value + uint64(s.text[s.value%textSize]) +
		uint64(o.name[o.id%nameSize])
}

func operation(at **owner, id, r uint64) uint64 {
	if r>>62 != 0 {
		return (*at).use()
	}
	ownerPut(at, id)
	return 1
}

func begin(n uint64) {
	meter.ScrambleBytes(pattern[:])
	table = make(map[weak.Pointer[owner]]*side, n)
	slots = make([]*owner, n)
	for i := range slots {
		ownerPut(&slots[i], uint64(i))
	}
}

func main() {
	n := meter.Size(1, "number of slots")
	ops := meter.Size(2, "number of operations")
	check := uint64(0)
	begin(n)
	last := meter.Now()
	for i := uint64(0); i < ops; i++ {
		r := meter.Scramble(n + i)
		check += operation(&slots[r%n], n+i, r)
		m.Lap(&last)
	}
	meter.Report(&m, meter.Scramble(check))
	runtime.KeepAlive(slots)
}
