/* Into a struct that the caller owns: init(&s, buffer). */
struct buffer { char *at; unsigned long size; };
static void init(struct buffer *b, char *at, unsigned long size)
{
    b->at = at;
    b->size = size;
}
int f(void)
{
    char room[64];
    struct buffer b;
    init(&b, room, sizeof room);
    b.at[0] = 1;
    return room[0];
}
