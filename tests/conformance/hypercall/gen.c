/* SPDX-License-Identifier: MIT */
/*
 * Random steps. The generator does not see results: it keeps a rough idea of what could be there, so that most steps
 * find something to work on, and now and then it forgets that idea on purpose.
 *
 * Left out is what would make two machines differ for reasons outside the hypervisor's grant tables and event channels:
 * addresses that are already in use for a mapping (that is about the guest's own page tables), pages that a transfer may have
 * lost (each machine uses them again for something else), VIRQ_TIMER (it fires by itself), and the channel to dom0.
 */
#include "gen.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"

#define LINE 4000
#define NR_GRANTS 12u
#define DOMAINS 3u

struct grant {
    unsigned from, to, ref, page;
};

struct gen {
    uint64_t random;
    void (*line)(void *ctx, const char *text);
    void *ctx;
    char text[LINE];
    size_t length;
    struct grant grants[NR_GRANTS];     /* lately written */
    unsigned nr_grants;
    bool busy[DOMAINS][NR_SLOTS];       /* something may be mapped there */
    unsigned hidden[DOMAINS];           /* pages, a bit each */
    unsigned lost[DOMAINS];             /* perhaps, by a transfer: then it can be part of anything now */
    unsigned version[DOMAINS];
    bool dead[DOMAINS];
    bool many;                          /* this sequence works on few references, so that they collide */
};

static uint64_t next(struct gen *g)
{
    uint64_t z = g->random += UINT64_C(0x9e3779b97f4a7c15);     /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(struct gen *g, unsigned n)
{
    return (unsigned)(next(g) % n);
}

static bool chance(struct gen *g, unsigned percent)
{
    return below(g, 100) < percent;
}

static void put(struct gen *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct gen *g, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g->length += (size_t)vsnprintf(g->text + g->length, LINE - g->length, format, args);
    va_end(args);
}

static void end(struct gen *g)
{
    put(g, "\n");
    g->line(g->ctx, g->text);
    g->length = 0;
}

/* ---- Values ----------------------------------------------------------------------------------- */

static const char name[DOMAINS] = { 'A', 'B', 'C' };

static unsigned someone(struct gen *g)
{
    unsigned who = chance(g, 45) ? 0 : chance(g, 75) ? 1 : 2;

    return g->dead[who] && chance(g, 90) ? (who + 1) % DOMAINS : who;
}

static void put_domain(struct gen *g)
{
    static const char *const odd[] = { "self", "0", "absent", "io", "xen", "cow", "invalid", "12345", "65535" };

    if (chance(g, 90))
        put(g, "%c", name[below(g, DOMAINS)]);
    else
        put(g, "%s", odd[below(g, sizeof odd / sizeof *odd)]);
}

static unsigned some_ref(struct gen *g)
{
    static const unsigned edges[] = { 0, 1, 7, 8, 255, 256, 257, 511, 512, 513, 767, 1023, 1024, 2047, 4095, 4096, 0x7fffffff, 0xffffffff };

    if (chance(g, 8))
        return edges[below(g, sizeof edges / sizeof *edges)];
    return chance(g, 15) ? below(g, 8) : 8 + below(g, g->many ? 4 : 10);
}

static void put_page(struct gen *g, unsigned owner)
{
    unsigned page = below(g, NR_POOL);

    for (unsigned i = 0; i < NR_POOL && g->lost[owner] & 1u << page; i++)
        page = (page + 1) % NR_POOL;
    if (g->lost[owner] & 1u << page)
        put(g, "none");
    else
        put(g, "%c.p%u", name[owner], page);
}

static void put_frame(struct gen *g, unsigned owner)
{
    if (chance(g, 90))
        put_page(g, owner);
    else if (chance(g, 60))
        put_page(g, below(g, DOMAINS));
    else
        put(g, chance(g, 70) ? "none" : "0");
}

static unsigned free_slot(struct gen *g, unsigned who)
{
    unsigned slot = below(g, NR_SLOTS);

    for (unsigned i = 0; i < NR_SLOTS && g->busy[who][slot]; i++)
        slot = (slot + 1) % NR_SLOTS;
    return slot;
}

static bool all_busy(const struct gen *g, unsigned who)
{
    for (unsigned i = 0; i < NR_SLOTS; i++)
        if (!g->busy[who][i])
            return false;
    return true;
}

static unsigned busy_slot(struct gen *g, unsigned who)
{
    unsigned slot = below(g, NR_SLOTS);

    for (unsigned i = 0; i < NR_SLOTS && !g->busy[who][slot]; i++)
        slot = (slot + 1) % NR_SLOTS;
    return slot;
}

static void put_no_address(struct gen *g)
{
    static const char *const odd[] = { "0", "hole", "wild", "odd", "xen", "1", "0xfffffffffffff000", "0x123456789000" };

    put(g, "%s", odd[below(g, sizeof odd / sizeof *odd)]);
}

static unsigned some_port(struct gen *g)
{
    static const unsigned odd[] = { 0, 8, 63, 64, 65, 127, 128, 1023, 1024, 4095, 4096, 0xffffffff };

    return chance(g, 93) ? 2 + below(g, 6) : odd[below(g, sizeof odd / sizeof *odd)];
}

/* A grant written lately; otherwise anything. */
static struct grant some_grant(struct gen *g)
{
    if (g->nr_grants && chance(g, 88))
        return g->grants[below(g, g->nr_grants < NR_GRANTS ? g->nr_grants : NR_GRANTS)];
    return (struct grant){ below(g, DOMAINS), below(g, DOMAINS), some_ref(g), below(g, NR_POOL) };
}

static void begin(struct gen *g, unsigned who, const char *op)
{
    put(g, "%c %s", name[who], op);
}

/* ---- Grant entries ---------------------------------------------------------------------------- */

static void put_entry_flags(struct gen *g, unsigned who)
{
    static const char *const usual[] = { "permit", "permit", "permit", "permit|readonly", "accept", "none" };
    static const char *const second[] = { "permit|sub", "permit|sub|readonly", "transitive", "transitive|readonly", "permit" };

    if (chance(g, 5))
        put(g, " flags=%#x", below(g, chance(g, 50) ? 0x200 : 0x10000));
    else if (g->version[who] == 2 && chance(g, 40))
        put(g, " flags=%s", second[below(g, 5)]);
    else
        put(g, " flags=%s", usual[below(g, 6)]);
}

static void write_entry(struct gen *g, unsigned who, unsigned ref)
{
    struct grant grant = { .from = who, .to = chance(g, 90) ? (who + 1 + below(g, 2)) % DOMAINS : who, .ref = ref };
    bool transitive;
    size_t start;

    begin(g, who, "entry");
    put(g, " %u", ref);
    start = g->length;
    put_entry_flags(g, who);
    transitive = strstr(g->text + start, "transitive");
    put(g, " dom=");
    if (chance(g, 96))
        put(g, "%c", name[grant.to]);
    else
        put_domain(g);
    if (transitive) {
        struct grant inner = some_grant(g);

        put(g, " tdom=");
        if (chance(g, 95))
            put(g, "%c tref=%u", name[inner.from], inner.ref);
        else
            put_domain(g);
    } else {
        put(g, " frame=");
        put_frame(g, who);
        if (g->version[who] == 2 && chance(g, 50))
            put(g, " off=%u len=%u", chance(g, 50) ? 64 * below(g, 8) : below(g, 65536), chance(g, 70) ? 64 * below(g, 65) : below(g, 65536));
    }
    end(g);
    if (ref < 0x10000)
        g->grants[g->nr_grants++ % NR_GRANTS] = grant;
}

static void do_entry(struct gen *g)
{
    write_entry(g, someone(g), some_ref(g));
}

static void do_flags(struct gen *g)
{
    static const char *const values[] = { "none", "permit", "permit|readonly", "permit|readonly|reading", "permit|reading|writing", "accept", "0x3" };
    struct grant grant = some_grant(g);

    begin(g, grant.from, "flags");
    if (chance(g, 10))
        put(g, " %u %#x", grant.ref, below(g, 0x10000));
    else
        put(g, " %u %s", grant.ref, values[below(g, 7)]);
    end(g);
}

/* ---- Mappings --------------------------------------------------------------------------------- */

static void put_map_flags(struct gen *g, bool *host, bool *pte)
{
    static const char *const usual[] = { "host", "host", "host", "host|ro", "host|ro", "dev", "dev|ro", "host|dev", "host|dev|ro", "host|app",
                                         "host|pte", "host|ro|pte" };
    unsigned i = below(g, 12);

    if (chance(g, 4)) {
        static const char *const odd[] = { "0", "ro", "pte", "host|0x10000", "dev|pte", "host|0x20", "0x20", "host|ro|app|0xffff0000" };

        i = below(g, 8);
        put(g, " flags=%s", odd[i]);
        *host = !strncmp(odd[i], "host", 4);
        *pte = false;
        return;
    }
    put(g, " flags=%s", usual[i]);
    *host = !strncmp(usual[i], "host", 4);
    *pte = i >= 10;
}

static unsigned some_count(struct gen *g)
{
    return chance(g, 75) ? 1 : chance(g, 90) ? 2 + below(g, 3) : 5 + below(g, 12);
}

static void put_odd_call(struct gen *g, unsigned n)
{
    if (chance(g, 98))
        return;
    switch (below(g, 5)) {
    case 0: put(g, " ptr=end:%u", below(g, n + 1)); break;
    case 1: put(g, " ptr="); put_no_address(g); break;
    case 2: put(g, " count=%u", below(g, n + 1)); break;
    case 3: put(g, " count=%s", chance(g, 50) ? "0x80000000" : "0xffffffff"); break;
    default: put(g, " cmd=%#x", chance(g, 50) ? 0x1000 | below(g, 16) : 13 + below(g, 40)); break;
    }
}

static void do_map(struct gen *g)
{
    struct grant grant = some_grant(g);
    unsigned who = chance(g, 93) ? grant.to : someone(g), n = some_count(g);
    bool host, pte;

    begin(g, who, "map");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = free_slot(g, who);

        if (i)
            grant = chance(g, 50) ? grant : some_grant(g);
        put(g, "%s dom=", i ? " /" : "");
        if (chance(g, 97))
            put(g, "%c", name[grant.from]);
        else
            put_domain(g);
        put(g, " ref=%u", grant.ref);
        put_map_flags(g, &host, &pte);
        if (!host && chance(g, 80))
            continue;
        put(g, " at=");
        if (all_busy(g, who) || chance(g, 3)) {
            put_no_address(g);
        } else {
            put(g, "%ss%u%s", pte ? "pte:" : "", slot, chance(g, 3) ? pte ? "+4" : "+8" : "");
            g->busy[who][slot] |= host;
        }
    }
    end(g);
}

static void put_unmap(struct gen *g, unsigned who, bool with_bus)
{
    unsigned slot = busy_slot(g, who);
    struct grant grant = some_grant(g);

    if (chance(g, 70)) {
        put(g, " handle=@s%u at=%ss%u", slot, chance(g, 8) ? "pte:" : "", slot);
        /* Only what surely works makes the place free again: the generator does not see. */
        if (chance(g, 90)) {
            if (with_bus && chance(g, 10))
                put(g, " bus=ma:%c.p%u", name[grant.from], grant.page);
            return;
        }
    } else if (chance(g, 60)) {
        put(g, " handle=@%u", below(g, 6));
        if (chance(g, 40))
            put(g, " at=s%u", slot);
    } else {
        put(g, " handle=%u at=s%u", chance(g, 60) ? below(g, 12) : chance(g, 80) ? 250 + below(g, 12) : 0xffffffff, slot);
    }
    if (with_bus && chance(g, 50)) {
        if (chance(g, 80))
            put(g, " bus=ma:%c.p%u%s", name[below(g, DOMAINS)], below(g, NR_POOL), chance(g, 10) ? "+8" : "");
        else
            put(g, " bus=0x1000");
    }
}

static void do_unmap(struct gen *g)
{
    unsigned who = someone(g), n = some_count(g);

    begin(g, who, "unmap");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++) {
        put(g, "%s", i ? " /" : "");
        put_unmap(g, who, true);
    }
    end(g);
}

static void do_replace(struct gen *g)
{
    unsigned who = someone(g), n = chance(g, 80) ? 1 : 2;

    begin(g, who, "replace");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = free_slot(g, who);

        put(g, "%s", i ? " /" : "");
        put_unmap(g, who, false);
        if (chance(g, 30))
            continue;
        put(g, " new=");
        if (chance(g, 20))
            put_no_address(g);
        else
            put(g, "s%u", chance(g, 50) ? slot : busy_slot(g, who));
    }
    end(g);
}

/* ---- Copies, transfers, the rest -------------------------------------------------------------- */

static bool put_copy_side(struct gen *g, unsigned who, const char *side, struct grant grant)
{
    static const unsigned offsets[] = { 0, 0, 0, 0, 8, 64, 128, 4088, 4095, 4096, 65535 };
    bool gref = chance(g, 70);

    if (gref)
        put(g, " %sref=%u %sdom=", side, grant.ref, side);
    else
        put(g, " %sframe=", side);
    if (!gref) {
        put_frame(g, who);
        put(g, " %sdom=%s", side, chance(g, 95) ? "self" : "");
        if (g->text[g->length - 1] == '=')
            put_domain(g);
    } else if (chance(g, 97)) {
        put(g, "%c", name[grant.from]);
    } else {
        put_domain(g);
    }
    put(g, " %soff=%u", side, offsets[below(g, sizeof offsets / sizeof *offsets)]);
    return gref;
}

static void do_copy(struct gen *g)
{
    static const unsigned lengths[] = { 1, 8, 8, 16, 64, 64, 512, 4096, 4097, 0, 65535 };
    struct grant grant = some_grant(g), other = some_grant(g);
    unsigned who = chance(g, 93) ? grant.to : someone(g), n = some_count(g);

    begin(g, who, "copy");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++) {
        bool sgref, dgref;

        if (i && chance(g, 40))
            other = some_grant(g);
        if (i && chance(g, 40))
            grant = some_grant(g);
        put(g, "%s", i ? " /" : "");
        sgref = put_copy_side(g, who, "s", grant);
        dgref = put_copy_side(g, who, "d", other.to == who ? other : grant);
        put(g, " len=%u flags=%s%s%s", lengths[below(g, sizeof lengths / sizeof *lengths)], sgref ? "sgref" : "0", dgref ? "|dgref" : "",
            chance(g, 2) ? "|4" : "");
    }
    end(g);
}

static void do_transfer(struct gen *g)
{
    unsigned from = someone(g), to = below(g, DOMAINS), ref = some_ref(g), page = below(g, NR_POOL);

    if (!(g->hidden[from] & 1u << page)) {
        begin(g, from, "hide");
        put(g, " p%u", page);
        end(g);
        g->hidden[from] |= 1u << page;
    }
    if (chance(g, 75)) {
        begin(g, to, "entry");
        put(g, " %u flags=%s dom=%c frame=%s", ref, chance(g, 92) ? "accept" : "accept|0x20", name[chance(g, 95) ? from : below(g, DOMAINS)],
            chance(g, 80) ? "0" : "none");
        end(g);
    }
    g->lost[from] |= 1u << page;
    begin(g, from, "transfer");
    put_odd_call(g, 1);
    put(g, " frame=%c.p%u dom=", name[from], page);
    if (chance(g, 95))
        put(g, "%c", name[to]);
    else
        put_domain(g);
    put(g, " ref=%u", ref);
    end(g);
}

static void do_show(struct gen *g)
{
    unsigned who = someone(g), page = below(g, NR_POOL);

    if (!(g->hidden[who] & 1u << page) || g->lost[who] & 1u << page)
        return;
    begin(g, who, "show");
    put(g, " p%u %c.p%u", page, name[who], page);
    end(g);
    g->hidden[who] &= ~(1u << page);
}

static void do_swap(struct gen *g)
{
    unsigned who = someone(g), n = some_count(g);

    begin(g, who, "swap");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++)
        put(g, "%s a=%u b=%u", i ? " /" : "", some_ref(g), some_ref(g));
    end(g);
}

static void put_about(struct gen *g, const char *op)
{
    bool dom0 = chance(g, 8);

    if (dom0)
        put(g, "0 %s", op);
    else
        begin(g, someone(g), op);
    put_odd_call(g, 1);
    put(g, " dom=");
    if (dom0)       /* its own table and channels are Linux' */
        put(g, "%s", chance(g, 90) ? (const char *[]){ "A", "B", "C" }[below(g, DOMAINS)] : "absent");
    else if (chance(g, 60))
        put(g, "self");
    else
        put_domain(g);
}

static void do_table(struct gen *g)
{
    static const char *const ops[] = { "setup_table", "setup_table", "get_status_frames", "query_size", "get_version", "dump_table" };
    unsigned i = below(g, 6);

    put_about(g, ops[i]);
    if (i < 3)
        put(g, " nr=%u", chance(g, 90) ? below(g, 10) : chance(g, 50) ? 65 : 0xffffffff);
    if (i < 3 && chance(g, 5)) {
        put(g, " list=");
        put_no_address(g);
    }
    end(g);
}

static void do_version(struct gen *g)
{
    unsigned who = someone(g), version = chance(g, 97) ? 1 + below(g, 2) : below(g, 5);

    begin(g, who, "set_version");
    put(g, " version=%u", version);
    end(g);
    if (version == 1 || version == 2)
        g->version[who] = version;
}

static void do_flush(struct gen *g)
{
    unsigned who = someone(g);

    begin(g, who, "cache_flush");
    put_odd_call(g, 1);
    put(g, " bus=ma:");
    put_frame(g, who);
    put(g, " offset=%u len=%u op=%u", below(g, 8) ? 64 * below(g, 64) : below(g, 65536), below(g, 4) ? 64 : below(g, 65536), below(g, 5));
    end(g);
}

static void do_memory(struct gen *g)
{
    unsigned who = someone(g);
    bool write = chance(g, 50);

    begin(g, who, write ? "poke" : "peek");
    if (chance(g, 45))
        put(g, " p%u", below(g, NR_POOL));
    else
        put(g, " s%u", chance(g, 80) ? busy_slot(g, who) : below(g, NR_SLOTS));
    put(g, "+%u", chance(g, 80) ? 8 * below(g, 4) : 4088);
    if (write)
        put(g, " %#llx", (unsigned long long)next(g));
    end(g);
}

/* ---- Event channels --------------------------------------------------------------------------- */

static void do_port(struct gen *g)
{
    static const char *const ops[] = { "close", "send", "send", "send", "send", "unmask", "unmask", "bind_vcpu", "set_priority" };
    unsigned i = below(g, sizeof ops / sizeof *ops);

    begin(g, someone(g), ops[i]);
    if (chance(g, 1))
        put_odd_call(g, 1);
    put(g, " port=%u", some_port(g));
    if (i == 7)
        put(g, " vcpu=%u", chance(g, 90) ? 0 : below(g, 40));
    if (i == 8)
        put(g, " priority=%u", below(g, 20));
    end(g);
}

static void do_bind(struct gen *g)
{
    unsigned who = someone(g);

    switch (below(g, 10)) {
    case 0:
        begin(g, who, "bind_virq");
        put(g, " virq=%u vcpu=%u", 1 + below(g, 26), chance(g, 85) ? 0 : below(g, 40));
        break;
    case 1:
        begin(g, who, "bind_ipi");
        put(g, " vcpu=%u", chance(g, 90) ? 0 : below(g, 40));
        break;
    case 2:
    case 3:
    case 4:
        if (chance(g, 8)) {
            put(g, "0 alloc_unbound dom=%c remote=", name[who]);
        } else {
            begin(g, who, "alloc_unbound");
            put(g, " dom=");
            if (chance(g, 90))
                put(g, "self remote=");
            else {
                put_domain(g);
                put(g, " remote=");
            }
        }
        put_domain(g);
        break;
    default:
        begin(g, who, "bind_interdomain");
        put(g, " dom=");
        put_domain(g);
        put(g, " rport=%u", some_port(g));
        break;
    }
    end(g);
}

static void do_status(struct gen *g)
{
    put_about(g, "status");
    put(g, " port=%u", some_port(g));
    end(g);
}

static void do_bits(struct gen *g)
{
    unsigned who = someone(g);

    if (chance(g, 20)) {
        begin(g, who, "ack");
    } else {
        begin(g, who, chance(g, 60) ? "mask" : "pending");
        put(g, " %u %u", 2 + below(g, 6), below(g, 2));
    }
    end(g);
}

static void do_reset(struct gen *g)
{
    begin(g, someone(g), "reset");
    put(g, " dom=");
    if (chance(g, 70))
        put(g, "self");
    else
        put_domain(g);
    end(g);
}

/* ---- Domains ---------------------------------------------------------------------------------- */

/* Nobody comes again: the same frames or others would be its, as it happens. */
static void do_life(struct gen *g)
{
    unsigned who = below(g, DOMAINS);

    if (g->dead[who])
        return;
    begin(g, who, "destroy");
    end(g);
    g->dead[who] = true;
}

static const struct { unsigned weight; void (*act)(struct gen *g); } acts[] = {
    { 170, do_entry }, { 30, do_flags }, { 190, do_map }, { 120, do_unmap }, { 15, do_replace }, { 110, do_copy }, { 30, do_transfer },
    { 15, do_show }, { 25, do_swap }, { 40, do_table }, { 25, do_version }, { 10, do_flush }, { 60, do_memory }, { 60, do_port },
    { 50, do_bind }, { 20, do_status }, { 25, do_bits }, { 4, do_reset }, { 4, do_life },
};

static void configure(struct gen *g)
{
    for (unsigned who = 0; who < DOMAINS; who++) {
        g->version[who] = 1;
        if (chance(g, 60))
            continue;
        put(g, "domain %c max_grant_frames=%u max_maptrack_frames=%u max_grant_version=%u max_evtchn_port=%u", name[who], 1 + below(g, 8),
            chance(g, 80) ? 1 + below(g, 3) : 0, chance(g, 85) ? 2 : 1, chance(g, 60) ? 1023 : 2 + below(g, 8));
        end(g);
    }
}

void generate(uint64_t seed, unsigned steps, void (*line)(void *ctx, const char *text), void *ctx)
{
    struct gen g = { .random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, .line = line, .ctx = ctx };
    unsigned total = 0, first;

    put(&g, "sequence seed%llu", (unsigned long long)seed);
    end(&g);
    g.many = chance(&g, 50);
    configure(&g);
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++)
        total += acts[i].weight;
    for (first = chance(&g, 30) ? 1 : 0; first < DOMAINS && chance(&g, 40); first++) {
        begin(&g, first, "set_version");
        put(&g, " version=2");
        end(&g);
        g.version[first] = 2;
    }
    for (unsigned step = 0; step < steps; step++) {
        unsigned at = below(&g, total), i = 0;

        while (at >= acts[i].weight)
            at -= acts[i++].weight;
        acts[i].act(&g);
    }
    for (unsigned who = 0; who < DOMAINS; who++) {
        begin(&g, who, "sums");
        end(&g);
    }
}
