// deep-list: see bench/deep-list.c, of which this is the same program.
package main

import (
	"runtime"

	"bench/meter"
)

type node struct {
	next  *node
	value uint64
}

const timed, garbage = 100, 4

var m meter.Meter

func more(rest *node, value uint64) *node {
	start := meter.Now()
	for i := uint64(0); i < timed; i++ {
		rest = &node{rest, value + i}
	}
	m.Add(meter.Now() - start)
	return rest
}

func (n *node) sum() (sum uint64) {
	for ; n != nil; n = n.next {
		sum = 3*sum + n.value
	}
	return
}

func main() {
	nodes := meter.Size(1, "number of nodes")
	check := uint64(0)
	var kept *node
	for i := uint64(0); i < nodes; i += timed {
		kept = more(kept, i)
	}
	for i := uint64(0); i < garbage*nodes; i += timed {
		check = meter.Scramble(check + more(nil, i).sum())
	}
	meter.Report(&m, meter.Scramble(check+kept.sum()))
	runtime.KeepAlive(kept)
}
