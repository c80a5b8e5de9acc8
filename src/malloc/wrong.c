/* wrong.c: what a program gave to free that is not its to free.
 *
 * The line says what, where and what to do; then the process aborts, as with
 * the C library, unless SANCAI_DEBUG=misuseabort=0: then it goes on, and the
 * call has no effect.  Nothing is damaged either way.
 */
#include "malloc.h"

static void stop(void)
{
    if (knobs.misuseabort)
        os_abort();
}

static void say_what(const char *who, const void *p, enum mfound found,
                     const struct mblock *b)
{
    if (found == FOUND_INSIDE)
        say("%s: %p lies inside the block %p of %zu bytes; free a block by its "
            "start.", who, p, (void *)b->base, b->size);
    else if (found == FOUND_NOTHING && arena_has((uintptr_t)p))
        say("%s: %p lies in free pages of this heap; it was freed before, or "
            "never was a block.", who, p);
    else if (found == FOUND_NOTHING)
        say("%s: %p is not a block of this heap; free only what malloc and its "
            "kin returned.", who, p);
    else
        say("%s: %p was freed before; free a block once.", who, p);
}

void wrong_free(const char *who, const void *p)
{
    struct mblock b;
    say_what(who, p, mblock_find((uintptr_t)p, &b), &b);
    stop();
}

void wrong_size(const char *who, const void *p, size_t has, size_t given)
{
    say("%s: %p is a block of %zu bytes, not %zu; give the size that was asked "
        "for.", who, p, has, given);
    stop();
}
