/* SPDX-License-Identifier: MIT */
/* The machine around the store, messages as lines, and rings, for the tests. */
#include "harness.h"

struct world w;

void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line)
{
    char text[256];

    if (actual != expected)
        fprintf(stderr, "\n%s:%u: %s: %lld is not %lld", file, line, what, actual, expected);
    snprintf(text, sizeof text, "%s", what);
    CU_assertImplementation(actual == expected, line, text, file, "", CU_FALSE);
}

void same_(const char *actual, const char *expected, const char *what, const char *file,
           unsigned line)
{
    if (strcmp(actual, expected))
        fprintf(stderr, "\n%s:%u: %s: \"%s\" is not \"%s\"", file, line, what, actual, expected);
    CU_assertImplementation(!strcmp(actual, expected), line, what, file, "", CU_FALSE);
}

/* ---- The machine ----------------------------------------------------------------------------- */

static void note(char *list, size_t size, const char *word)
{
    size_t len = strlen(list);

    snprintf(list + len, size - len, "%s%s", len ? " " : "", word);
}

static enum store_domain_state domain_state(void *ctx, unsigned domid)
{
    (void)ctx;
    return domid < NR_DOMAINS ? w.states[domid] : STORE_DOMAIN_GONE;
}

static int on_introduce(void *ctx, unsigned domid, uint32_t port, bool again,
                        struct xenstore_domain_interface **ring)
{
    char text[64];

    (void)ctx;
    snprintf(text, sizeof text, "%s:%u:%u", again ? "bind" : "introduce", domid, port);
    note(w.calls, sizeof w.calls, text);
    if (w.introduce_error)
        return w.introduce_error;
    if (w.with_rings && domid < NR_DOMAINS)
        *ring = &w.rings[domid];
    return 0;
}

static void on_released(void *ctx, unsigned domid)
{
    char text[64];

    (void)ctx;
    snprintf(text, sizeof text, "release:%u", domid);
    note(w.calls, sizeof w.calls, text);
}

static void on_notify(void *ctx, unsigned domid)
{
    (void)ctx;
    w.notified[domid]++;
}

static void on_output(void *ctx, struct store_conn *conn)
{
    (void)ctx;
    (void)conn;
    w.outputs++;
}

static enum store_verdict on_inject(void *ctx, const struct store_point *point, int *value)
{
    (void)ctx;
    if (w.verdict == STORE_GO_ON || point->type != w.fault_type ||
        strncmp(point->path, w.fault_path, strlen(w.fault_path)))
        return STORE_GO_ON;
    *value = w.fault_error;
    return w.verdict;
}

static void on_trace(void *ctx, const struct store_point *point, int error)
{
    char text[128];

    (void)ctx;
    if (strlen(w.traced) > sizeof w.traced - 200)
        return;
    snprintf(text, sizeof text, "%u:%u:%.60s:%d", store_conn_domid(point->conn), point->type,
             point->path, error);
    note(w.traced, sizeof w.traced, text);
}

void world_up(const struct store_config *config)
{
    struct store_config own = config ? *config : (struct store_config){ 0 };
    bool with_rings = w.with_rings;

    w = (struct world){ .with_rings = with_rings };
    for (unsigned i = 0; i <= 5; i++)
        w.states[i] = STORE_DOMAIN_RUNS;
    own.hooks = (struct store_hooks){ .domain_state = domain_state,
                                      .introduce = on_introduce,
                                      .released = on_released,
                                      .notify = on_notify,
                                      .output = on_output,
                                      .inject = on_inject,
                                      .trace = on_trace };
    w.store = store_create(&own);
    w.root = store_connect(w.store);
    w.d1 = introduce(1);
    w.d2 = introduce(2);
    w.d3 = introduce(3);
    *w.calls = *w.traced = '\0';
    w.outputs = 0;
    memset(w.notified, 0, sizeof w.notified);
}

void world_down(void)
{
    EQ(store_audit(w.store, stderr), 0);
    store_destroy(w.store);
    w.store = NULL;
    w.with_rings = false;
}

struct store_conn *introduce(unsigned domid)
{
    char body[64];

    snprintf(body, sizeof body, "%u|0|%u|", domid, RESERVED_PORT);
    EQ(tell(w.root, XS_INTRODUCE, body), 0);
    return store_domain_conn(w.store, domid);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void spell(char *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = bytes[i] ? bytes[i] : '|';
    out[len] = '\0';
}

/* The next message that waits for a connection. */
static bool take(struct store_conn *conn, struct xsd_sockmsg *header, char *body)
{
    size_t size;
    const char *bytes = store_output(conn, &size);

    if (!bytes)
        return false;
    memcpy(header, bytes, sizeof *header);
    EQ(size, sizeof *header + header->len);
    memcpy(body, bytes + sizeof *header, header->len);
    store_sent(conn, size);
    return true;
}

static void note_event(char *list, size_t size, const char *body)
{
    char text[XENSTORE_PAYLOAD_MAX + 2];

    snprintf(text, sizeof text, "%s:%s", body, body + strlen(body) + 1);
    note(list, size, text);
}

static int error_of(const char *name)
{
    for (size_t i = 0; i < sizeof xsd_errors / sizeof *xsd_errors; i++)
        if (!strcmp(xsd_errors[i].errstring, name))
            return xsd_errors[i].errnum;
    return -1;
}

int ask(struct store_conn *conn, uint32_t type, const void *body, size_t len)
{
    static uint32_t req_id = 100;
    struct xsd_sockmsg header = {
        .type = type, .req_id = ++req_id, .tx_id = w.tx, .len = (uint32_t)len
    };
    char bytes[XENSTORE_PAYLOAD_MAX + 1];

    *w.before = '\0';
    EQ(store_receive(conn, &header, sizeof header), sizeof header);
    if (len)
        EQ(store_receive(conn, body, len), len);
    while (take(conn, &w.header, bytes)) {
        if (w.header.type == XS_WATCH_EVENT) {
            note_event(w.before, sizeof w.before, bytes);
            continue;
        }
        w.len = w.header.len;
        spell(w.said, bytes, w.len);
        EQ(w.header.req_id, header.req_id);
        EQ(w.header.tx_id, header.tx_id);
        if (w.header.type == XS_ERROR)
            return error_of(bytes);
        EQ(w.header.type, type);
        return 0;
    }
    CU_FAIL("no reply");
    return -1;
}

int tell(struct store_conn *conn, uint32_t type, const char *body)
{
    char bytes[XENSTORE_PAYLOAD_MAX + 1];
    size_t len = strlen(body);

    for (size_t i = 0; i < len; i++)
        bytes[i] = body[i] == '|' ? '\0' : body[i];
    return ask(conn, type, bytes, len);
}

static int ask_path(struct store_conn *conn, uint32_t type, const char *path)
{
    return ask(conn, type, path, strlen(path) + 1);
}

int rd(struct store_conn *conn, const char *path)
{
    return ask_path(conn, XS_READ, path);
}

static int write_bytes(struct store_conn *conn, const char *path, const char *value, size_t len)
{
    char body[XENSTORE_PAYLOAD_MAX];
    size_t at = strlen(path) + 1;

    memcpy(body, path, at);
    memcpy(body + at, value, len);
    return ask(conn, XS_WRITE, body, at + len);
}

int wr(struct store_conn *conn, const char *path, const char *value)
{
    return write_bytes(conn, path, value, strlen(value));
}

int wr_size(struct store_conn *conn, const char *path, size_t len)
{
    char value[XENSTORE_PAYLOAD_MAX];

    memset(value, 'x', len);
    return write_bytes(conn, path, value, len);
}

int mk(struct store_conn *conn, const char *path)
{
    return ask_path(conn, XS_MKDIR, path);
}

int rm(struct store_conn *conn, const char *path)
{
    return ask_path(conn, XS_RM, path);
}

int ls(struct store_conn *conn, const char *path)
{
    return ask_path(conn, XS_DIRECTORY, path);
}

int get_perms(struct store_conn *conn, const char *path)
{
    return ask_path(conn, XS_GET_PERMS, path);
}

int set_perms(struct store_conn *conn, const char *path, const char *perms)
{
    char body[XENSTORE_PAYLOAD_MAX];
    size_t at = strlen(path) + 1, len = strlen(perms) + 1;

    memcpy(body, path, at);
    memcpy(body + at, perms, len);
    for (size_t i = at; i < at + len; i++)
        if (body[i] == ' ')
            body[i] = '\0';
    return ask(conn, XS_SET_PERMS, body, at + len);
}

static int two(struct store_conn *conn, uint32_t type, const char *path, const char *token)
{
    char body[2 * XENSTORE_PAYLOAD_MAX];
    size_t at = strlen(path) + 1, len = strlen(token) + 1;

    memcpy(body, path, at);
    memcpy(body + at, token, len);
    return ask(conn, type, body, at + len);
}

int watch(struct store_conn *conn, const char *path, const char *token)
{
    return two(conn, XS_WATCH, path, token);
}

int unwatch(struct store_conn *conn, const char *path, const char *token)
{
    return two(conn, XS_UNWATCH, path, token);
}

uint32_t start(struct store_conn *conn)
{
    w.tx = 0;
    EQ(tell(conn, XS_TRANSACTION_START, "|"), 0);
    w.tx = (uint32_t)atoi(w.said);
    OK(w.tx != 0);
    return w.tx;
}

int end(struct store_conn *conn, const char *how)
{
    int error = ask(conn, XS_TRANSACTION_END, how, strlen(how) + 1);

    w.tx = 0;
    return error;
}

const char *events(struct store_conn *conn)
{
    static char list[65536];
    char body[XENSTORE_PAYLOAD_MAX + 1];
    struct xsd_sockmsg header;

    *list = '\0';
    while (take(conn, &header, body)) {
        EQ(header.type, XS_WATCH_EVENT);
        EQ(header.req_id, 0);
        EQ(header.tx_id, 0);
        EQ(header.len, strlen(body) + strlen(body + strlen(body) + 1) + 2);
        note_event(list, sizeof list, body);
    }
    return list;
}

void watched(struct store_conn *conn, const char *path, const char *token)
{
    char first[XENSTORE_PAYLOAD_MAX];

    EQ(watch(conn, path, token), 0);
    snprintf(first, sizeof first, "%s:%s", path, token);
    SAME(events(conn), first);
}

const char *long_path(const char *prefix, size_t len)
{
    static char path[XENSTORE_PAYLOAD_MAX];
    size_t at = strlen(prefix);

    memcpy(path, prefix, at);
    memset(path + at, 'p', len);
    path[at + len] = '\0';
    return path;
}

/* ---- Rings ----------------------------------------------------------------------------------- */

void ring_put(unsigned domid, const void *bytes, size_t len)
{
    struct xenstore_domain_interface *ring = &w.rings[domid];

    for (size_t i = 0; i < len; i++)
        ring->req[MASK_XENSTORE_IDX(ring->req_prod++)] = ((const char *)bytes)[i];
}

void ring_ask(unsigned domid, uint32_t type, const char *body)
{
    struct xsd_sockmsg header = {
        .type = type, .req_id = 1, .tx_id = w.tx, .len = (uint32_t)strlen(body)
    };
    char bytes[XENSTORE_PAYLOAD_MAX];

    for (size_t i = 0; i < header.len; i++)
        bytes[i] = body[i] == '|' ? '\0' : body[i];
    ring_put(domid, &header, sizeof header);
    ring_put(domid, bytes, header.len);
}

size_t ring_take(unsigned domid, void *bytes, size_t max)
{
    struct xenstore_domain_interface *ring = &w.rings[domid];
    size_t n = 0;

    while (n < max && ring->rsp_cons != ring->rsp_prod)
        ((char *)bytes)[n++] = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons++)];
    return n;
}
