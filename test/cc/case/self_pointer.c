/* A struct that points into itself, and is then returned by value. */
struct buffer { char *at; char room[16]; };
static void init(struct buffer *b)
{
    b->at = b->room;
}
int f(void)
{
    struct buffer b;
    init(&b);
    return b.at == b.room;
}
struct buffer g(void)
{
    struct buffer b;
    init(&b);
    return b;
}
