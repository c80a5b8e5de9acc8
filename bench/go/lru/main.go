// lru: see bench/lru.c, of which this is the same program.
package main

import (
	"runtime"

	"bench/meter"
)

type entry struct {
	chain, newer, older *entry
	value               []byte
	key                 uint64
}

type cache struct {
	table            []*entry
	newest, oldest   *entry
	mask, used, room uint64
}

const valueMin, valueVaries = 64, 128

var (
	m       meter.Meter
	pattern [256 + valueMin + valueVaries]byte
)

func (c *cache) put(e *entry) {
	e.newer = nil
	e.older = c.newest
	if c.newest != nil {
		c.newest.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

func (c *cache) take(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		c.oldest = e.newer
	}
}

// place is where the pointer to the entry of that key stands, or would.
func (c *cache) place(key uint64) **entry {
	at := &c.table[meter.Scramble(key)&c.mask]
	for *at != nil && (*at).key != key {
		at = &(*at).chain
	}
	return at
}

func (e *entry) set(r uint64) {
	e.value = make([]byte, valueMin+(r>>40)%valueVaries)
	copy(e.value, pattern[r%256:])
}

func (c *cache) drop() {
	e := c.oldest
	*c.place(e.key) = e.chain
	c.take(e)
	c.used--
}

func (c *cache) add(key, r uint64) {
	if c.used == c.room {
		c.drop()
	}
	e := &entry{key: key}
	at := c.place(key)
	e.set(r)
	e.chain = *at
	*at = e
	c.put(e)
	c.used++
}

func (c *cache) use(key, r uint64) uint64 {
	e := *c.place(key)
	if e == nil {
		c.add(key, r)
		return 1
	}
	n := uint64(len(e.value))
	found := uint64(e.value[n-1]) + n
	e.set(r)
	c.take(e)
	c.put(e)
	return found
}

func newCache(room uint64) *cache {
	buckets := uint64(1)
	for buckets < room {
		buckets *= 2
	}
	return &cache{table: make([]*entry, buckets), mask: buckets - 1,
		room: room}
}

func main() {
	room := meter.Size(1, "number of entries")
	ops := meter.Size(2, "number of operations")
	check := uint64(0)
	meter.ScrambleBytes(pattern[:])
	c := newCache(room)
	for i := uint64(0); i < room; i++ {
		c.add(i, meter.Scramble(i))
	}
	last := meter.Now()
	for i := uint64(0); i < ops; i++ {
		r := meter.Scramble(room + i)
		s := meter.Scramble(r)
		check += c.use(min(r%(2*room), s%(2*room)), s)
		m.Lap(&last)
	}
	meter.Report(&m, meter.Scramble(check))
	runtime.KeepAlive(c)
}
