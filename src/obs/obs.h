/* obs.h: what can be seen of the collector while it runs.
 *
 * Rooms: stats.c (one consistent snapshot), trace.c (gctrace and its kin),
 * publish.c (the directory and the statistics page for other processes).
 */
#ifndef SC_OBS_H
#define SC_OBS_H

#include "../collect/collect.h"

void obs_stats(struct sc_stats *);
void trace_init(void);
int publish_init(void);
void publish_update(bool finished);
void publish_class(unsigned c); /* a class came into being */
void publish_fork_child(void);

#endif
