/* say.c: one line of text, formatted without allocating.
 *
 *   say("freed %zu", n) --> [sancai: freed 42\n........] --> one write, fd 2
 *                            line on the caller's stack
 *
 * The library speaks from signal handlers, in the child of a fork and under
 * locks of the program, where printf may not be called.  So this is a
 * formatter of our own: no locale, no lock, no state, no errno.
 *
 *   %d %i %u %x   with l, ll, z       %s %c    text, %.Ns its first N bytes
 *   %p            0x and hexadecimal  %f %.Nf  rounded exactly, N <= 9
 *   %8d %-8d %08d %*d                 width, left, zeros, from an argument
 *
 * How a directive travels:  spec_read --> spec --> text_<kind> --> text_field
 * (what the format says)   (as data)    (its body)    (sign and padding)
 *
 * Invariants: at most `room - 1` characters and a zero are stored, however
 * long the text; a line that is too long loses its end, never its newline.
 * A line is one write, so lines of several threads do not mix.
 *
 * Locks: none.
 */
#include "base.h"

/* Fits our longest line (a trace of one cycle, about 300), and a handler on a
 * signal stack of the minimal size can still afford it. */
#define LINE_MAX_BYTES 512
/* 64 binary digits would fit; we only print base 10 and 16. */
#define DIGITS_MAX 24
/* Nanoseconds of a time in seconds. */
#define FRACTION_MAX 9

struct text {
    char *to;
    size_t room, length; /* length may pass room: it counts what was meant */
};

/* One directive, % to letter: "%-8.3f" is left, width 8, precision 3. */
struct spec {
    bool left, zero;
    int width, precision; /* precision -1: none */
    int longs;            /* 0 int, 1 long or size_t, 2 long long */
};

/* An argument list that can be handed on by address on every machine. */
struct args {
    __builtin_va_list list;
};

/* Counts what does not fit too: the caller learns how long it would be. */
static void text_put(struct text *t, char c)
{
    if (t->length + 1 < t->room)
        t->to[t->length] = c;
    t->length++;
}

static void text_fill(struct text *t, char c, int n)
{
    while (n-- > 0)
        text_put(t, c);
}

/* `body` with `sign` before it, padded to the width.  Zeros stand between
 * sign and digits, spaces outside. */
static void text_field(struct text *t, const struct spec *s, const char *sign,
                       const char *body, int n)
{
    int pad = s->width - n;
    const char *c;

    for (c = sign; *c; c++)
        pad--;
    if (!s->left && !s->zero)
        text_fill(t, ' ', pad);
    while (*sign)
        text_put(t, *sign++);
    if (!s->left && s->zero)
        text_fill(t, '0', pad);
    while (n-- > 0)
        text_put(t, *body++);
    if (s->left)
        text_fill(t, ' ', pad);
}

/* Writes v's digits so that they end before `end`; the first one. */
static char *digits(char *end, uint64_t v, unsigned base)
{
    do {
        *--end = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    return end;
}

/* The sign or 0x stays apart from the digits, so that zeros go between. */
static void text_number(struct text *t, const struct spec *s, const char *sign,
                        uint64_t v, unsigned base)
{
    char buf[DIGITS_MAX], *end = buf + DIGITS_MAX, *p = digits(end, v, base);

    text_field(t, s, sign, p, (int)(end - p));
}

/* Never reads past the precision: "%.*s" shows pieces without a zero. */
static void text_string(struct text *t, struct spec *s, const char *v)
{
    int n = 0;

    if (!v)
        v = "(null)";
    while ((s->precision < 0 || n < s->precision) && v[n])
        n++;
    s->zero = false;
    text_field(t, s, "", v, n);
}

/* A number >= 0 below 2^63, rounded to `places` decimal digits. */
struct fixed {
    uint64_t whole, part; /* part counts units of 10^-places */
    int places;
};

static uint64_t power_of_ten(int n)
{
    uint64_t p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

/* Exact, to nearest, ties to even, as printf does it: a double is m * 2^-k,
 * and its 53 bits times 10^9 fit 128 bits. */
static struct fixed fixed_of(double v, int places)
{
    uint64_t bits, m, unit = power_of_ten(places);
    unsigned __int128 product, half;
    struct fixed f = {(uint64_t)v, 0, places};
    int k;

    __builtin_memcpy(&bits, &v, sizeof(bits));
    m = (bits & ((1ull << 52) - 1)) | 1ull << 52;
    k = 1075 - (int)(bits >> 52);
    if (k <= 0 || k > 117) /* no fraction, or below 2^-64: rounds to 0 */
        return f;
    if (k < 64)
        m &= (1ull << k) - 1;
    product = (unsigned __int128)m * unit;
    half = (unsigned __int128)1 << (k - 1);
    f.part = (uint64_t)(product >> k);
    product &= 2 * half - 1;
    if (product > half ||
        (product == half && ((places ? f.part : f.whole) & 1)))
        f.part++;
    f.whole += f.part / unit;
    f.part %= unit;
    return f;
}

/* Built from the right end, as digits come that way. */
static void text_fixed(struct text *t, const struct spec *s, const char *sign,
                       struct fixed f)
{
    char buf[2 * DIGITS_MAX], *end = buf + sizeof(buf), *p = end;
    int i;

    for (i = 0; i < f.places; i++, f.part /= 10)
        *--p = (char)('0' + f.part % 10);
    if (f.places)
        *--p = '.';
    p = digits(p, f.whole, 10);
    text_field(t, s, sign, p, (int)(end - p));
}

/* The sign is taken from its bit: -0.0 and what rounds to it keep theirs, as
 * with printf. */
static void text_double(struct text *t, struct spec *s, double v)
{
    int places = s->precision < 0 ? 6 : s->precision;
    const char *sign = __builtin_signbit(v) ? "-" : "";

    if (__builtin_signbit(v))
        v = -v;
    if (v < 0x1p63) {
        if (places > FRACTION_MAX)
            places = FRACTION_MAX;
        text_fixed(t, s, sign, fixed_of(v, places));
        return;
    }
    /* Nothing that we measure is so large; say so rather than wrong digits. */
    s->zero = false;
    text_field(t, s, sign, v != v ? "nan" : v > __DBL_MAX__ ? "inf" : "big",
               3);
}

/* The next argument, read as the type that the caller passed. */
static uint64_t arg_unsigned(struct args *a, const struct spec *s)
{
    if (s->longs == 0)
        return __builtin_va_arg(a->list, unsigned);
    if (s->longs == 1)
        return __builtin_va_arg(a->list, unsigned long);
    return __builtin_va_arg(a->list, unsigned long long);
}

static int64_t arg_signed(struct args *a, const struct spec *s)
{
    if (s->longs == 0)
        return __builtin_va_arg(a->list, int);
    if (s->longs == 1)
        return __builtin_va_arg(a->list, long);
    return __builtin_va_arg(a->list, long long);
}

static void text_signed(struct text *t, const struct spec *s, int64_t v)
{
    /* Negated as unsigned: the smallest number has no positive twin. */
    text_number(t, s, v < 0 ? "-" : "",
                v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

/* Zero padding means nothing for text; printf leaves it undefined. */
static void text_char(struct text *t, struct spec *s, char c)
{
    s->zero = false;
    text_field(t, s, "", &c, 1);
}

/* "%p": always with 0x, so that "0x0" and not "(nil)" is what greps find. */
static void text_pointer(struct text *t, const struct spec *s, const void *p)
{
    text_number(t, s, "0x", (uintptr_t)p, 16);
}

/* A number in the format, or the next argument for '*'. */
static const char *spec_number(const char *f, struct args *a, int *n)
{
    *n = 0;
    if (*f == '*') {
        *n = __builtin_va_arg(a->list, int);
        return f + 1;
    }
    while (*f >= '0' && *f <= '9')
        *n = *n * 10 + (*f++ - '0');
    return f;
}

/* f stands after the '%'; returns where the letter is. */
static const char *spec_read(struct spec *s, const char *f, struct args *a)
{
    *s = (struct spec){.precision = -1};
    for (; *f == '-' || *f == '0'; f++) {
        s->left = s->left || *f == '-';
        s->zero = s->zero || *f == '0';
    }
    f = spec_number(f, a, &s->width);
    if (s->width < 0) {
        s->left = true;
        s->width = -s->width;
    }
    if (*f == '.')
        f = spec_number(f + 1, a, &s->precision);
    for (; *f == 'l' || *f == 'z' || *f == 'j'; f++)
        s->longs++;
    return f;
}

/* The directives of say_format, one line each. */
static void text_directive(struct text *t, struct spec *s, char letter,
                           struct args *a)
{
    switch (letter) {
    case 'd': case 'i':
        text_signed(t, s, arg_signed(a, s));
        break;
    case 'u': text_number(t, s, "", arg_unsigned(a, s), 10); break;
    case 'x': text_number(t, s, "", arg_unsigned(a, s), 16); break;
    case 'p': text_pointer(t, s, __builtin_va_arg(a->list, void *)); break;
    case 's': text_string(t, s, __builtin_va_arg(a->list, char *)); break;
    case 'c': text_char(t, s, (char)__builtin_va_arg(a->list, int)); break;
    case 'f': text_double(t, s, __builtin_va_arg(a->list, double)); break;
    case '%': text_put(t, '%'); break;
    default: /* shown, not obeyed: the argument's type is unknown */
        text_put(t, '%');
        text_put(t, letter);
    }
}

int say_vformat(char *to, size_t n, const char *fmt, __builtin_va_list ap)
{
    struct text t = {to, n, 0};
    struct args a;
    struct spec s;

    __builtin_va_copy(a.list, ap); /* an array on some machines: no "=" */
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            text_put(&t, *fmt);
            continue;
        }
        fmt = spec_read(&s, fmt + 1, &a);
        if (!*fmt) /* a format that ends within a directive */
            break;
        text_directive(&t, &s, *fmt, &a);
    }
    __builtin_va_end(a.list);
    if (n)
        to[t.length < n ? t.length : n - 1] = 0;
    return (int)t.length;
}

int say_format(char *to, size_t n, const char *fmt, ...)
{
    __builtin_va_list ap;
    int length;

    __builtin_va_start(ap, fmt);
    length = say_vformat(to, n, fmt, ap);
    __builtin_va_end(ap);
    return length;
}

/* prefix + text + newline, cut to the line's room, in one write. */
static void say_line(const char *prefix, const char *fmt,
                     __builtin_va_list ap)
{
    char line[LINE_MAX_BYTES];
    /* One byte of room is kept back: the newline goes where the zero was. */
    size_t used = (size_t)say_format(line, sizeof(line) - 1, "%s", prefix);
    size_t end = used + (size_t)say_vformat(line + used,
                                            sizeof(line) - 1 - used, fmt, ap);

    end = min_size(end, sizeof(line) - 2);
    line[end] = '\n';
    os_write_error(line, end + 1);
}

/* For everything that a user should read. */
void say(const char *fmt, ...)
{
    __builtin_va_list ap;

    __builtin_va_start(ap, fmt);
    say_line("sancai: ", fmt, ap);
    __builtin_va_end(ap);
}

/* For lines whose form is a contract with other tools. */
void say_raw(const char *fmt, ...)
{
    __builtin_va_list ap;

    __builtin_va_start(ap, fmt);
    say_line("", fmt, ap);
    __builtin_va_end(ap);
}

/* Ends with SIGABRT, so that a core or a debugger shows the place. */
void fatal(const char *fmt, ...)
{
    __builtin_va_list ap;

    __builtin_va_start(ap, fmt);
    say_line("sancai: fatal: ", fmt, ap);
    __builtin_va_end(ap);
    os_abort();
}
