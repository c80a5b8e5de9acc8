/* text.c: how numbers, words and colours are written.
 *
 * Sizes are in binary units and times in decimal ones, to three figures.
 * Colour only when a person looks at a terminal and has not declined it
 * (NO_COLOR, TERM=dumb).
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Narrower than this the tables would wrap; wider ones are hard to read. */
#define WIDTH_MIN 72
#define WIDTH_MAX 160
#define WIDTH_DEFAULT 80

void out_init(struct out *o, FILE *to)
{
    struct winsize w;
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool tty = isatty(fileno(to));
    o->to = to;
    o->width = WIDTH_DEFAULT;
    if (tty && ioctl(fileno(to), TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        o->width = w.ws_col;
    if (o->width < WIDTH_MIN)
        o->width = WIDTH_MIN;
    if (o->width > WIDTH_MAX)
        o->width = WIDTH_MAX;
    o->colour = tty && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

void out_colour(struct out *o, enum colour c)
{
    static const char *const code[] = {
        [PLAIN] = "\033[0m",    [BOLD] = "\033[1m",     [DIM] = "\033[2m",
        [RED] = "\033[31m",     [GREEN] = "\033[32m",   [YELLOW] = "\033[33m",
        [BLUE] = "\033[34m",    [MAGENTA] = "\033[35m", [CYAN] = "\033[36m"};
    if (o->colour)
        fputs(code[c], o->to);
}

/* v in the largest unit of which it has at least one; `step` from unit to
 * unit.  Without decimals where there are none. */
static const char *text_scaled(char *to, uint64_t v, unsigned step,
                               const char *const *unit, size_t n)
{
    double x = (double)v;
    size_t u = 0;
    /* 999.95 would be printed as 1000.0: then rather one of the next unit. */
    while (u + 1 < n && x >= step - 0.05) {
        x /= step;
        u++;
    }
    if (x == (double)(unsigned)x)
        snprintf(to, TEXT, "%u %s", (unsigned)x, unit[u]);
    else
        snprintf(to, TEXT, "%.*f %s", x < 9.95 ? 2 : 1, x, unit[u]);
    return to;
}

const char *text_bytes(char *to, uint64_t v)
{
    static const char *const unit[] = {"B",   "KiB", "MiB", "GiB",
                                       "TiB", "PiB", "EiB"};
    return text_scaled(to, v, 1024, unit, COUNT(unit));
}

const char *text_ns(char *to, uint64_t v)
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};
    return text_scaled(to, v, 1000, unit, COUNT(unit));
}

const char *text_grouped(char *to, uint64_t v)
{
    char digits[TEXT];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    char *p = to;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = 0;
    return to;
}

void text_wrap(struct out *o, int indent, const char *text)
{
    int column = indent;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (column > indent && column + n > o->width) {
            fprintf(o->to, "\n%*s", indent, "");
            column = indent;
        }
        fprintf(o->to, "%.*s", n, text);
        column += n;
        text += n;
        if (*text == ' ') {
            text++;
            /* The space before a word that will go to the next line is
             * dropped: no blanks at line ends. */
            if (column + 1 + (int)strcspn(text, " ") <= o->width) {
                fputc(' ', o->to);
                column++;
            } else {
                column = o->width;
            }
        }
    }
    fputc('\n', o->to);
}

/* What was said before must stand before. */
static void complain_list(const char *fmt, va_list list)
{
    fflush(stdout);
    fputs("sancai: ", stderr);
    vfprintf(stderr, fmt, list);
    fputc('\n', stderr);
}

void complain(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    complain_list(fmt, list);
    va_end(list);
}

void die(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    complain_list(fmt, list);
    va_end(list);
    exit(EXIT_FAILURE);
}

void *grow(void *p, size_t bytes)
{
    p = realloc(p, bytes ? bytes : 1);
    if (!p)
        die("out of memory");
    return p;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define WORD_MAX 24 /* longest name that is compared */

/* Of the three ways to get one letter further. */
static int smallest(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Letters to insert, delete, change or swap with a neighbour to make b out of
 * a.  row[i][j]: of the first i letters of a and j of b. */
static int edit_distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1][WORD_MAX + 1];
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (int i = 0; i <= n; i++) {
        for (int j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                row[i][j] = i + j;
                continue;
            }
            row[i][j] = smallest(row[i - 1][j] + 1, row[i][j - 1] + 1,
                                 row[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
                && row[i - 2][j - 2] + 1 < row[i][j])
                row[i][j] = row[i - 2][j - 2] + 1;
        }
    }
    return row[n][m];
}

int text_nearest(const char *word, const char *const *names, int n)
{
    int best = -1, least = WORD_MAX;
    for (int i = 0; i < n; i++) {
        int d = edit_distance(word, names[i]);
        /* More than half of the letters wrong is no longer a slip. */
        if (d < least && 2 * d <= (int)strlen(names[i])) {
            least = d;
            best = i;
        }
    }
    return best;
}
