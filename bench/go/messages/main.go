// messages: see bench/messages.c, of which this is the same program, with a
// channel in the place of its queue.
package main

import (
	"sync"

	"bench/meter"
)

type part struct {
	next  *part
	bytes []byte
}

type message struct {
	parts  *part
	number uint64
}

type worker struct {
	number, check uint64
	meter         meter.Meter
}

const room, partsMost, bytesMin, bytesVary = 128, 8, 32, 64

var (
	pattern  [256 + bytesMin + bytesVary]byte
	messages uint64
	queue    = make(chan *message, room)
)

func newPart(next *part, r uint64) *part {
	p := &part{next, make([]byte, bytesMin+(r>>40)%bytesVary)}
	copy(p.bytes, pattern[r%256:])
	return p
}

func newMessage(number uint64) *message {
	r := meter.Scramble(number)
	var parts *part
	for n := 1 + r%partsMost; n > 0; n-- {
		r = meter.Scramble(r)
		parts = newPart(parts, r)
	}
	return &message{parts, number}
}

func (m *message) read() uint64 {
	sum := m.number
	for p := m.parts; p != nil; p = p.next {
		for _, b := range p.bytes {
			sum = (sum ^ uint64(b)) * 0x100000001b3
		}
	}
	return meter.Scramble(sum)
}

func (w *worker) produce() {
	for i := uint64(0); i < messages; i++ {
		start := meter.Now()
		m := newMessage(w.number*messages + i)
		w.meter.Add(meter.Now() - start)
		queue <- m
	}
}

func (w *worker) consume() {
	for m := range queue {
		start := meter.Now()
		w.check += m.read()
		w.meter.Add(meter.Now() - start)
	}
}

func start(w []worker, run func(*worker)) *sync.WaitGroup {
	wait := new(sync.WaitGroup)
	for i := range w {
		w := &w[i]
		w.number = uint64(i)
		wait.Add(1)
		go func() { run(w); wait.Done() }()
	}
	return wait
}

func join(wait *sync.WaitGroup, w []worker, all *meter.Meter) (check uint64) {
	wait.Wait()
	for i := range w {
		all.Merge(&w[i].meter)
		check += w[i].check
	}
	return
}

func main() {
	var all meter.Meter
	producers := make([]worker, meter.Threads(2))
	consumers := make([]worker, meter.Threads(3))
	messages = meter.Size(1, "messages of each producer")
	meter.ScrambleBytes(pattern[:])
	reading := start(consumers, (*worker).consume)
	making := start(producers, (*worker).produce)
	check := join(making, producers, &all)
	close(queue)
	check += join(reading, consumers, &all)
	meter.Report(&all, meter.Scramble(check))
}
