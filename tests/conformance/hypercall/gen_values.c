/* SPDX-License-Identifier: MIT */
/* Draws the random numbers and values of the generator. */
#include "gen_i.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t next(struct gen *g)
{
    uint64_t z = g->random += UINT64_C(0x9e3779b97f4a7c15);     /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

unsigned below(struct gen *g, unsigned n)
{
    return (unsigned)(next(g) % n);
}

bool chance(struct gen *g, unsigned percent)
{
    return below(g, 100) < percent;
}

void put(struct gen *g, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g->length += (size_t)vsnprintf(g->text + g->length, LINE - g->length, format, args);
    va_end(args);
}

void end(struct gen *g)
{
    put(g, "\n");
    g->line(g->ctx, g->text);
    g->length = 0;
}

const char name[DOMAINS] = { 'A', 'B', 'C' };

unsigned someone(struct gen *g)
{
    unsigned who = chance(g, 45) ? 0 : chance(g, 75) ? 1 : 2;

    return g->dead[who] && chance(g, 90) ? (who + 1) % DOMAINS : who;
}

void put_domain(struct gen *g)
{
    static const char *const odd[] = { "self", "0", "absent", "io", "xen", "cow", "invalid",
                                       "12345", "65535" };

    if (chance(g, 90))
        put(g, "%c", name[below(g, DOMAINS)]);
    else
        put(g, "%s", odd[below(g, sizeof odd / sizeof *odd)]);
}

unsigned some_ref(struct gen *g)
{
    static const unsigned edges[] = { 0, 1, 7, 8, 255, 256, 257, 511, 512, 513, 767, 1023, 1024,
                                      2047, 4095, 4096, 0x7fffffff, 0xffffffff };

    if (chance(g, 8))
        return edges[below(g, sizeof edges / sizeof *edges)];
    return chance(g, 15) ? below(g, 8) : 8 + below(g, g->many ? 4 : 10);
}

void put_page(struct gen *g, unsigned owner)
{
    unsigned page = below(g, NR_POOL);

    for (unsigned i = 0; i < NR_POOL && g->lost[owner] & 1u << page; i++)
        page = (page + 1) % NR_POOL;
    if (g->lost[owner] & 1u << page || g->dead[owner])
        put(g, "none");
    else
        put(g, "%c.p%u", name[owner], page);
}

void put_frame(struct gen *g, unsigned owner)
{
    if (chance(g, 90))
        put_page(g, owner);
    else if (chance(g, 60))
        put_page(g, below(g, DOMAINS));
    else
        put(g, chance(g, 70) ? "none" : "0");
}

unsigned free_slot(struct gen *g, unsigned who)
{
    unsigned slot = below(g, NR_SLOTS);

    for (unsigned i = 0; i < NR_SLOTS && g->busy[who][slot]; i++)
        slot = (slot + 1) % NR_SLOTS;
    return slot;
}

bool all_busy(const struct gen *g, unsigned who)
{
    for (unsigned i = 0; i < NR_SLOTS; i++)
        if (!g->busy[who][i])
            return false;
    return true;
}

unsigned busy_slot(struct gen *g, unsigned who)
{
    unsigned slot = below(g, NR_SLOTS);

    for (unsigned i = 0; i < NR_SLOTS && !g->busy[who][slot]; i++)
        slot = (slot + 1) % NR_SLOTS;
    return slot;
}

void put_no_address(struct gen *g)
{
    static const char *const odd[] = { "0", "hole", "wild", "odd", "xen", "1", "0xfffffffffffff000",
                                       "0x123456789000" };

    put(g, "%s", odd[below(g, sizeof odd / sizeof *odd)]);
}

unsigned some_port(struct gen *g)
{
    static const unsigned odd[] = { 0, 8, 63, 64, 65, 127, 128, 1023, 1024, 4095, 4096,
                                    0xffffffff };

    return chance(g, 93) ? 2 + below(g, 6) : odd[below(g, sizeof odd / sizeof *odd)];
}

struct grant some_grant(struct gen *g)
{
    if (g->nr_grants && chance(g, 88))
        return g->grants[below(g, g->nr_grants < NR_GRANTS ? g->nr_grants : NR_GRANTS)];
    return (struct grant){ below(g, DOMAINS), below(g, DOMAINS), some_ref(g), below(g, NR_POOL) };
}

void begin(struct gen *g, unsigned who, const char *op)
{
    put(g, "%c %s", name[who], op);
}

unsigned some_count(struct gen *g)
{
    return chance(g, 75) ? 1 : chance(g, 90) ? 2 + below(g, 3) : 5 + below(g, 12);
}

void put_odd_call(struct gen *g, unsigned n)
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

void put_about(struct gen *g, const char *op)
{
    bool dom0 = chance(g, 8);

    if (dom0)
        put(g, "0 %s", op);
    else
        begin(g, someone(g), op);
    put_odd_call(g, 1);
    put(g, " dom=");
    if (dom0)       /* its own table and channels are Linux' */
        put(g, "%s", chance(g, 90) ? (const char *[]){ "A", "B", "C" }[below(g, DOMAINS)]
                                   : "absent");
    else if (chance(g, 60))
        put(g, "self");
    else
        put_domain(g);
}
