/* One sender or one receiver on libstrophe; see child.go for the lines it speaks.
 * Stream management is off, because no other measured client uses it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <strophe.h>

static const char *role, *to, *tag;
static int n, got;
static size_t tag_len;
static volatile int go, stop, failed;
static int online;

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000LL + r.ru_utime.tv_usec + r.ru_stime.tv_usec;
}

static void *orders(void *unused)
{
    char line[64];
    (void)unused;
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "go\n"))
            go = 1;
        if (!strcmp(line, "stop\n"))
            break;
    }
    stop = 1;
    return NULL;
}

static long long base;

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data)
{
    char *body = xmpp_message_get_body(stanza);
    (void)conn;
    if (body) {
        if (!strncmp(body, tag, tag_len) && ++got == n) {
            printf("result %lld %lld\n", now_ns(), cpu_us() - base);
            fflush(stdout);
        }
        xmpp_free((xmpp_ctx_t *)data, body);
    }
    return 1;
}

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t *stream_error, void *data)
{
    (void)error;
    (void)stream_error;
    if (event == XMPP_CONN_CONNECT) {
        xmpp_stanza_t *p = xmpp_presence_new((xmpp_ctx_t *)data);
        xmpp_send(conn, p);
        xmpp_stanza_release(p);
        online = 1;
    } else {
        failed = 1;
    }
}

static struct text {
    char id[16], body[160];
} *texts;

/* The texts are made before the clock starts, as for every client. */
static int make_texts(void)
{
    int i;
    if (!(texts = calloc(n, sizeof *texts)))
        return 0;
    for (i = 0; i < n; i++) {
        snprintf(texts[i].id, sizeof texts[i].id, "m%07d", i);
        snprintf(texts[i].body, sizeof texts[i].body,
                 "%s %07d wherefore art thou? Deny thy father and refuse thy name, or if thou wilt not, be sworn", tag, i);
    }
    return 1;
}

static void send_one(xmpp_ctx_t *ctx, xmpp_conn_t *conn, int i)
{
    const char *id = texts[i].id, *body = texts[i].body;
    xmpp_stanza_t *m, *o;
    m = xmpp_message_new(ctx, "chat", to, id);
    xmpp_message_set_body(m, body);
    o = xmpp_stanza_new(ctx);
    xmpp_stanza_set_name(o, "origin-id");
    xmpp_stanza_set_ns(o, "urn:xmpp:sid:0");
    xmpp_stanza_set_id(o, id);
    xmpp_stanza_add_child(m, o);
    xmpp_stanza_release(o);
    xmpp_send(conn, m);
    xmpp_stanza_release(m);
}

/* strophe ROLE PORT JID PASSWORD CAFILE TO N TAG */
int main(int argc, char **argv)
{
    xmpp_ctx_t *ctx;
    xmpp_conn_t *conn;
    pthread_t thread;
    int sent = 0, begun = 0;
    long long start = 0;
    time_t limit = time(NULL) + 120;

    if (argc != 9)
        return 2;
    role = argv[1], to = argv[6], n = atoi(argv[7]), tag = argv[8], tag_len = strlen(tag);
    if (!make_texts())
        return 5;
    pthread_create(&thread, NULL, orders, NULL);
    xmpp_initialize();
    ctx = xmpp_ctx_new(NULL, NULL);
    conn = xmpp_conn_new(ctx);
    xmpp_conn_set_flags(conn, XMPP_CONN_FLAG_MANDATORY_TLS | XMPP_CONN_FLAG_DISABLE_SM);
    xmpp_conn_set_jid(conn, argv[3]);
    xmpp_conn_set_pass(conn, argv[4]);
    xmpp_conn_set_cafile(conn, argv[5]);
    xmpp_handler_add(conn, on_message, NULL, "message", NULL, ctx);
    if (xmpp_connect_client(conn, "127.0.0.1", (unsigned short)atoi(argv[2]), on_connection, ctx) != XMPP_EOK)
        return 3;
    while (!stop && !failed && time(NULL) < limit) {
        if (online == 1 && xmpp_conn_send_queue_len(conn) == 0) {
            online = 2;
            puts("ready");
            fflush(stdout);
        }
        if (go && !begun) {
            begun = 1;
            base = cpu_us();
            start = now_ns();
        }
        if (begun && !strcmp(role, "sender") && sent < n) {
            /* A batch for the library's queue, then its event loop writes what the socket takes. */
            int until = sent + 100 < n ? sent + 100 : n;
            while (sent < until)
                send_one(ctx, conn, sent++);
            xmpp_run_once(ctx, 0);
        } else {
            xmpp_run_once(ctx, 20);
        }
    }
    if (begun && !strcmp(role, "sender"))
        printf("result %lld %lld\n", start, cpu_us() - base);
    fflush(stdout);
    return failed ? 4 : 0;
}
