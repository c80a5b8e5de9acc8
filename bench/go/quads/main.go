// quads: see bench/quads.c, of which this is the same program.
package main

import (
	"runtime"

	"bench/meter"
)

type quad struct{ child [4]*quad }

const lowest, heights = 2, 3

var m meter.Meter

func grow(height uint, seed *uint64) *quad {
	q := new(quad)
	leaves := uint64(0)
	if height == 1 {
		leaves = meter.Scramble(*seed)
		*seed++
	}
	for i := range q.child {
		if height > 1 {
			q.child[i] = grow(height-1, seed)
		} else if leaves>>i&1 != 0 {
			q.child[i] = new(quad)
		}
	}
	return q
}

func (q *quad) count() uint64 {
	n := uint64(1)
	for _, c := range q.child {
		if c != nil {
			n += c.count()
		}
	}
	return n
}

func (q *quad) replace(height uint, r uint64, seed *uint64) uint64 {
	k := lowest + uint(r>>60)%heights
	at := &q.child[r%4]
	for h := height - 1; h > k; h-- {
		r /= 4
		at = &(*at).child[r%4]
	}
	n := (*at).count()
	*at = grow(k, seed)
	return n
}

func main() {
	height := max(uint(meter.Size(1, "height")), lowest+heights)
	ops := meter.Size(2, "number of operations")
	check, seed := uint64(0), uint64(0)
	root := grow(height, &seed)
	last := meter.Now()
	for i := uint64(0); i < ops; i++ {
		r := meter.Scramble(^i)
		check = meter.Scramble(check + root.replace(height, r, &seed))
		m.Lap(&last)
	}
	meter.Report(&m, meter.Scramble(check+root.count()))
	runtime.KeepAlive(root)
}
