/* SPDX-License-Identifier: MIT */
/*
 * Random steps. The generator does not see results: it keeps a rough idea of what could be there,
 * so that most steps find something to work on, and now and then it forgets that idea on purpose.
 *
 * Left out is what would make two machines differ for reasons outside the hypervisor's grant tables
 * and event channels: addresses that are already in use for a mapping (a guest's page tables hold
 * references of their own to what they map), pages that a transfer may have lost and those of the
 * dead (each machine uses them again for something else), VIRQ_TIMER (it fires by itself), and the
 * channel to dom0.
 */
#include "gen.h"

#include <string.h>

#include "gen_i.h"

/* ---- Event channels -------------------------------------------------------------------------- */

static void do_port(struct gen *g)
{
    static const char *const ops[] = { "close", "send", "send", "send", "send", "unmask", "unmask",
                                       "bind_vcpu", "set_priority" };
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

/* ---- Domains --------------------------------------------------------------------------------- */

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
    { 170, do_entry }, { 30, do_flags }, { 190, do_map }, { 120, do_unmap }, { 15, do_replace },
    { 110, do_copy }, { 30, do_transfer },
    { 15, do_show }, { 25, do_swap }, { 40, do_table }, { 25, do_version }, { 10, do_flush },
    { 60, do_memory }, { 60, do_port },
    { 50, do_bind }, { 20, do_status }, { 25, do_bits }, { 4, do_reset }, { 4, do_life },
};

static void configure(struct gen *g)
{
    for (unsigned who = 0; who < DOMAINS; who++) {
        g->version[who] = 1;
        if (chance(g, 60))
            continue;
        put(g, "domain %c max_grant_frames=%u max_maptrack_frames=%u max_grant_version=%u "
            "max_evtchn_port=%u", name[who], 1 + below(g, 8),
            chance(g, 80) ? 1 + below(g, 3) : 0, chance(g, 85) ? 2 : 1,
            chance(g, 60) ? 1023 : 2 + below(g, 8));
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
