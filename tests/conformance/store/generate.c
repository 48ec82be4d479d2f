/* SPDX-License-Identifier: MIT */
/* Makes sequences of steps from a seed: few names, so that the steps meet, and some odd ones. */
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "sequence.h"

struct generator {
    uint64_t random;
    uint8_t body[XENSTORE_PAYLOAD_MAX + 64];
    size_t len;
};

static unsigned below(struct generator *g, unsigned n)
{
    return (unsigned)(random_next(&g->random) >> 33) % n;
}

static bool chance(struct generator *g, unsigned percent)
{
    return below(g, 100) < percent;
}

#define ONE_OF(g, list) ((list)[below(g, sizeof(list) / sizeof *(list))])

/* ---- Bodies ---------------------------------------------------------------------------------- */

static void add_bytes(struct generator *g, const char *bytes, size_t len)
{
    size_t room = XENSTORE_PAYLOAD_MAX - g->len, n = len < room ? len : room;

    memcpy(g->body + g->len, bytes, n);
    g->len += n;
}

static void add(struct generator *g, const char *string)
{
    add_bytes(g, string, strlen(string) + 1);
}

static void add_many(struct generator *g, char c, size_t len)
{
    char bytes[XENSTORE_PAYLOAD_MAX];

    memset(bytes, c, sizeof bytes);
    add_bytes(g, bytes, len < sizeof bytes ? len : sizeof bytes);
}

static void add_odd_path(struct generator *g)
{
    static const char *const odd[] = { "", "//", "/a/", "/a//b", "/a b", "a.b", "/a:b", "@x", "/@",
                                       "/.", "/..", "-", "@releaseDomain" };
    static const unsigned lengths[] = { 300, 2047, 2048, 2049, 3000 };
    static const char *const before[] = { "/", "/local/domain/1/", "/local/domain/", "" };

    if (chance(g, 75)) {
        add(g, ONE_OF(g, odd));
        return;
    }
    add_bytes(g, before[below(g, 4)], 0);
    add_many(g, '/', 1);
    add_many(g, 'l', ONE_OF(g, lengths) - 1);
    add_bytes(g, "", 1);
}

static void add_path(struct generator *g)
{
    static const char *const roots[] = { "/", "/", "/k/", "/local/domain/1/", "/local/domain/2/",
                                         "/local/domain/1/data/", "", "", "data/", "/tool/" };
    static const char *const names[] = { "a", "b", "c", "data", "a" };
    char path[128];
    unsigned depth = below(g, 4);

    if (chance(g, 3)) {
        add_odd_path(g);
        return;
    }
    strcpy(path, ONE_OF(g, roots));
    for (unsigned i = 0; i <= depth; i++) {
        strcat(path, ONE_OF(g, names));
        if (i < depth)
            strcat(path, "/");
    }
    /* Sometimes a root itself, or what everything is below. */
    if (chance(g, 8))
        strcpy(path, chance(g, 30) ? "/" : chance(g, 50) ? "/local/domain/1" : "data");
    add(g, path);
}

static void add_value(struct generator *g)
{
    static const unsigned sizes[] = { 60, 70, 1000, 2010, 2015, 2016, 2020, 3000, 4000 };

    if (chance(g, 6))
        add_many(g, 'v', ONE_OF(g, sizes));
    else
        add_many(g, (char)('0' + below(g, 10)), below(g, 4));
}

static void add_perms(struct generator *g)
{
    static const char letters[] = "nrwb";
    static const char *const odd[] = { "x1", "r", "r1z", "", "n0x2", "b 1", "r01", "n0x1", "r-1" };
    unsigned nr = chance(g, 5) ? below(g, 8) : 1 + below(g, 3);

    for (unsigned i = 0; i < nr; i++) {
        char perm[4] = { letters[below(g, 4)], (char)('0' + below(g, chance(g, 10) ? 8 : 4)) };

        add(g, chance(g, 2) ? ONE_OF(g, odd) : perm);
    }
}

static void add_token(struct generator *g)
{
    static const char *const tokens[] = { "t", "u", "v", "" };

    if (!chance(g, 1)) {
        add(g, ONE_OF(g, tokens));
        return;
    }
    add_many(g, 'w', 4080);
    add_bytes(g, "", 1);
}

static void add_number(struct generator *g)
{
    static const char *const numbers[] = { "0", "1", "2", "3", "4", "1", "2", "3", "4", "7", "x",
                                           "-1", "" };

    add(g, ONE_OF(g, numbers));
}

static void fill_path(struct generator *g)
{
    add_path(g);
}

static void fill_directory_part(struct generator *g)
{
    static const char *const offsets[] = { "0", "0", "2", "4", "9", "-1", "x" };

    add_path(g);
    add(g, ONE_OF(g, offsets));
}

static void fill_write(struct generator *g)
{
    add_path(g);
    add_value(g);
}

static void fill_set_perms(struct generator *g)
{
    add_path(g);
    /* What is asked of an unknown special name is chance. */
    if (g->body[0] == '@')
        g->body[0] = 'a';
    /* A daemon has no root any more when the owner of its root is gone. */
    if (!strcmp((const char *)g->body, "/"))
        add(g, chance(g, 50) ? "r0" : "n0");
    add_perms(g);
}

static void fill_watch(struct generator *g)
{
    if (chance(g, 8))
        add(g, chance(g, 50) ? "@releaseDomain" : "@introduceDomain");
    else
        add_path(g);
    add_token(g);
    if (chance(g, 1))
        add(g, "more");
}

static void fill_end(struct generator *g)
{
    add(g, chance(g, 75) ? "T" : chance(g, 90) ? "F" : chance(g, 50) ? "X" : "");
}

static void fill_nothing(struct generator *g)
{
    if (chance(g, 50))
        add(g, "");
}

static void fill_number(struct generator *g)
{
    add_number(g);
    if (chance(g, 2))
        add(g, "more");
}

static void fill_introduce(struct generator *g)
{
    static const char *const ports[] = { "5", "5", "5", "5", "0", "-1", "50" };

    add_number(g);
    add(g, "7");
    if (!chance(g, 3))
        add(g, ONE_OF(g, ports));
}

/* A daemon never frees domains that are each other's target, or a domain that is its own. */
static void fill_set_target(struct generator *g)
{
    static const char *const odd[] = { "7", "x", "", "-1", "0" };
    unsigned domid = 2 + below(g, WORLD_DOMAINS - 2), target = 1 + below(g, domid - 1);

    add(g, chance(g, 10) ? ONE_OF(g, odd) : (const char[]){ (char)('0' + domid), '\0' });
    if (!chance(g, 3))
        add(g, chance(g, 10) ? ONE_OF(g, odd) : (const char[]){ (char)('0' + target), '\0' });
}

static void fill_control(struct generator *g)
{
    static const struct {
        const char *quota, *values[3];
    } rows[] = {
        { "nodes", { "4", "12", "1000" } },       { "watches", { "1", "4", "128" } },
        { "transactions", { "1", "2", "10" } },   { "node-size", { "60", "100", "2048" } },
        { "permissions", { "1", "2", "5" } },     { "path-max", { "8", "30", "2048" } },
        { "transaction-nodes", { "3", "6", "1024" } }, { "nonsense", { "1", "0", "-1" } },
    };
    unsigned i = below(g, sizeof rows / sizeof *rows);

    add(g, "quota");
    add(g, "set");
    add(g, rows[i].quota);
    add(g, chance(g, 3) ? "0" : rows[i].values[below(g, 3)]);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static const struct kind {
    uint32_t type;
    unsigned weight;
    void (*fill)(struct generator *g);
} kinds[] = {
    { XS_READ, 80, fill_path },
    { XS_WRITE, 170, fill_write },
    { XS_MKDIR, 50, fill_path },
    { XS_RM, 70, fill_path },
    { XS_DIRECTORY, 40, fill_path },
    { XS_DIRECTORY_PART, 15, fill_directory_part },
    { XS_GET_PERMS, 40, fill_path },
    { XS_SET_PERMS, 110, fill_set_perms },
    { XS_WATCH, 70, fill_watch },
    { XS_UNWATCH, 30, fill_watch },
    { XS_TRANSACTION_START, 50, fill_nothing },
    { XS_TRANSACTION_END, 60, fill_end },
    { XS_INTRODUCE, 12, fill_introduce },
    { XS_RELEASE, 5, fill_number },
    { XS_IS_DOMAIN_INTRODUCED, 6, fill_number },
    { XS_RESUME, 5, fill_number },
    { XS_SET_TARGET, 8, fill_set_target },
    { XS_RESET_WATCHES, 4, fill_nothing },
    { XS_GET_DOMAIN_PATH, 5, fill_number },
    { XS_CONTROL, 6, fill_control },
    { 20, 1, fill_nothing },
    { 24, 1, fill_nothing },
    { XS_ERROR, 1, fill_nothing },
};

static const struct kind *pick_kind(struct generator *g)
{
    unsigned total = 0, at;
    const struct kind *kind = kinds;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        total += kinds[i].weight;
    at = below(g, total);
    while (at >= kind->weight)
        at -= kind++->weight;
    return kind;
}

static void keep_body(struct generator *g, struct step *step)
{
    step->len = g->len;
    step->body = malloc(g->len + 1);
    if (!step->body)
        abort();
    memcpy(step->body, g->body, g->len);
}

static void make_step(struct generator *g, struct step *step)
{
    const struct kind *kind;

    g->len = 0;
    *step = (struct step){ .kind = STEP_REQUEST, .conn = below(g, NR_CONNS) };
    if (chance(g, 1)) {
        step->kind = chance(g, 40) ? STEP_REOPEN : STEP_STATE;
        step->conn = step->kind == STEP_REOPEN ? below(g, NR_SOCKETS)
                                               : 1 + below(g, WORLD_DOMAINS - 1);
        step->type = below(g, 3);
    } else {
        kind = pick_kind(g);
        step->type = kind->type;
        kind->fill(g);
        if (chance(g, 45))
            step->tx = 1 + below(g, 2);
        else if (chance(g, 2))
            step->tx = TX_UNKNOWN;
    }
    keep_body(g, step);
}

/* The domains as a toolstack leaves them; who wants less takes these away. */
static size_t make_first(struct generator *g, struct step *steps)
{
    static const struct {
        uint32_t type;
        const char *body;           /* '|' stands for NUL */
    } rows[] = {
        { XS_INTRODUCE, "1|7|5|" },
        { XS_INTRODUCE, "2|7|5|" },
        { XS_INTRODUCE, "3|7|5|" },
        { XS_WRITE, "/local/domain/1/data|" },
        { XS_SET_PERMS, "/local/domain/1|n0|r1|" },
        { XS_SET_PERMS, "/local/domain/1/data|n1|r2|" },
        { XS_WRITE, "/local/domain/2/data|" },
        { XS_SET_PERMS, "/local/domain/2/data|b2|" },
        { XS_WRITE, "/k|" },
        { XS_SET_PERMS, "/k|b1|" },
    };
    size_t nr = sizeof rows / sizeof *rows;

    for (size_t i = 0; i < nr; i++) {
        g->len = 0;
        add_bytes(g, rows[i].body, strlen(rows[i].body));
        for (size_t at = 0; at < g->len; at++)
            if (g->body[at] == '|')
                g->body[at] = '\0';
        steps[i] = (struct step){ .kind = STEP_REQUEST, .type = rows[i].type };
        keep_body(g, &steps[i]);
    }
    return nr;
}

struct sequence sequence_generate(uint64_t seed, size_t nr)
{
    struct generator g = { .random = seed };
    struct sequence sequence = { .nr = nr < 16 ? 16 : nr };

    sequence.steps = calloc(sequence.nr, sizeof *sequence.steps);
    if (!sequence.steps)
        abort();
    for (size_t i = make_first(&g, sequence.steps); i < sequence.nr; i++)
        make_step(&g, &sequence.steps[i]);
    return sequence;
}

void sequence_free(struct sequence *sequence)
{
    for (size_t i = 0; i < sequence->nr; i++)
        free(sequence->steps[i].body);
    free(sequence->steps);
}
