/* json.c: JSON, written as it comes.
 *
 * Two spaces per depth and one member per line: a person can read it, and
 * line tools can cut it.  Sizes and times are plain integers (bytes and
 * nanoseconds); addresses are strings "0x...", because many readers keep
 * numbers as doubles and would round them.  Names from outside (paths, thread
 * names) can hold any byte: what is not UTF-8 becomes U+FFFD.
 */
#include "tool.h"

#include <inttypes.h>

/* Bytes of the UTF-8 sequence at s; 0 if there is none. */
static int utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2
          : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0)      /* overlong */
                   || (s[0] == 0xed && s[1] >= 0xa0))) /* surrogates */
        return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90)      /* overlong */
                   || (s[0] == 0xf4 && s[1] >= 0x90))) /* past U+10FFFF */
        return 0;
    return n;
}

/* Quoted; what JSON does not allow as it is, escaped. */
static void json_string(struct json *j, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', j->to);
    while (*s) {
        int n = utf8_length(s);
        if (n == 0) {
            fputs("\\ufffd", j->to);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            fprintf(j->to, "\\%c", *s);
        } else if (*s < 0x20) {
            fprintf(j->to, "\\u%04x", *s);
        } else {
            fwrite(s, 1, (size_t)n, j->to);
        }
        s += n;
    }
    fputc('"', j->to);
}

/* A new line, at the depth we are in. */
static void json_line(struct json *j)
{
    fprintf(j->to, "\n%*s", 2 * j->depth, "");
}

/* What stands before every value: comma, indentation, key. */
static void json_key(struct json *j, const char *key)
{
    if (j->depth > 0) {
        if (!j->first)
            fputc(',', j->to);
        json_line(j);
    }
    if (key) {
        json_string(j, key);
        fputs(": ", j->to);
    }
    j->first = false;
}

void json_open(struct json *j, const char *key, char bracket)
{
    json_key(j, key);
    fputc(bracket, j->to);
    j->depth++;
    j->first = true;
}

void json_close(struct json *j, char bracket)
{
    bool empty = j->first;
    j->depth--;
    j->first = false;
    if (!empty)
        json_line(j);
    fputc(bracket, j->to);
    if (j->depth == 0)
        fputc('\n', j->to);
}

void json_text(struct json *j, const char *key, const char *text)
{
    json_key(j, key);
    json_string(j, text);
}

void json_number(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    fprintf(j->to, "%" PRIu64, v);
}

void json_signed(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    fprintf(j->to, "%" PRId64, v);
}

void json_address(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    fprintf(j->to, "\"0x%" PRIx64 "\"", v);
}

void json_flag(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    fputs(v ? "true" : "false", j->to);
}

void json_null(struct json *j, const char *key)
{
    json_key(j, key);
    fputs("null", j->to);
}
