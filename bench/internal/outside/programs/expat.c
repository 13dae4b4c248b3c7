/* Counts with libexpat: expat FILE ROUNDS NAMESPACES, where FILE is a whole stream.
 * Prints, for each round, nanoseconds and the number of start tags, attributes and characters seen. */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long starts, attributes, characters;

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attr)
{
    (void)data;
    (void)name;
    starts++;
    while (*attr)
        attributes++, attr += 2;
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
    (void)data;
    (void)name;
}

static void XMLCALL on_text(void *data, const XML_Char *text, int n)
{
    (void)data;
    (void)text;
    characters += n;
}

int main(int argc, char **argv)
{
    static char buf[64 << 20];
    FILE *f;
    size_t n, at;
    int rounds;

    if (argc != 4 || !(f = fopen(argv[1], "rb")))
        return 2;
    n = fread(buf, 1, sizeof buf, f);
    for (rounds = atoi(argv[2]); rounds > 0; rounds--) {
        struct timespec a, b;
        XML_Parser p;
        starts = attributes = characters = 0;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        p = atoi(argv[3]) ? XML_ParserCreateNS("UTF-8", '|') : XML_ParserCreate("UTF-8");
        XML_SetElementHandler(p, on_start, on_end);
        XML_SetCharacterDataHandler(p, on_text);
        /* In pieces of the size a connection would give. */
        for (at = 0; at < n; at += 16384) {
            int size = (int)(n - at < 16384 ? n - at : 16384);
            if (XML_Parse(p, buf + at, size, at + size == n) != XML_STATUS_OK)
                return 3;
        }
        XML_ParserFree(p);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        printf("%lld %ld %ld %ld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec, starts, attributes, characters);
    }
    return 0;
}
