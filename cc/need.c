/* need.c: memory or the end; tables from pointers to words. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "need.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
    fputs("sancai cc: out of memory\n", stderr);
    exit(2);
}

void *need(void *p, size_t bytes)
{
    void *q = p ? realloc(p, bytes) : calloc(1, bytes ? bytes : 1);
    if (!q)
        out_of_memory();
    return q;
}

void need_free(void *p) { free(p); }

char *need_text(const char *fmt, ...)
{
    va_list list;
    char *s;
    va_start(list, fmt);
    if (vasprintf(&s, fmt, list) < 0)
        out_of_memory();
    va_end(list);
    return s;
}

/* Where key is, or would be.  The table is never full. */
static size_t table_slot(const struct table *t, const void *key)
{
    uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = mixed >> 32 & (t->room - 1);
    while (t->keys[i] && t->keys[i] != key)
        i = (i + 1) & (t->room - 1);
    return i;
}

static void table_grow(struct table *t)
{
    struct table old = *t;
    t->room = old.room ? 2 * old.room : 64;
    t->keys = need(NULL, t->room * sizeof *t->keys);
    t->values = need(NULL, t->room * sizeof *t->values);
    for (size_t i = 0; i < old.room; i++) {
        if (old.keys[i]) {
            size_t at = table_slot(t, old.keys[i]);
            t->keys[at] = old.keys[i];
            t->values[at] = old.values[i];
        }
    }
    table_free(&old);
}

intptr_t *table_at(struct table *t, const void *key)
{
    size_t i;
    if (2 * t->n >= t->room)
        table_grow(t);
    i = table_slot(t, key);
    if (!t->keys[i]) {
        t->keys[i] = key;
        t->n++;
    }
    return &t->values[i];
}

intptr_t table_get(const struct table *t, const void *key)
{
    return t->room ? t->values[table_slot(t, key)] : 0;
}

void table_free(struct table *t)
{
    free(t->keys);
    free(t->values);
}
