/* SPDX-License-Identifier: MIT */
/* Generates grant entries and mappings. */
#include "gen_i.h"

#include <string.h>

/* ---- Grant entries --------------------------------------------------------------------------- */

static void put_entry_flags(struct gen *g, unsigned who)
{
    static const char *const usual[] = { "permit", "permit", "permit", "permit|readonly", "accept",
                                         "none" };
    static const char *const second[] = { "permit|sub", "permit|sub|readonly", "transitive",
                                          "transitive|readonly", "permit" };

    if (chance(g, 5))
        put(g, " flags=%#x", below(g, chance(g, 50) ? 0x200 : 0x10000));
    else if (g->version[who] == 2 && chance(g, 40))
        put(g, " flags=%s", second[below(g, 5)]);
    else
        put(g, " flags=%s", usual[below(g, 6)]);
}

static void write_entry(struct gen *g, unsigned who, unsigned ref)
{
    struct grant grant = { .from = who, .to = chance(g, 90) ? (who + 1 + below(g, 2)) % DOMAINS
                                                            : who, .ref = ref };
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
            put(g, " off=%u len=%u", chance(g, 50) ? 64 * below(g, 8) : below(g, 65536),
                chance(g, 70) ? 64 * below(g, 65) : below(g, 65536));
    }
    end(g);
    if (ref < 0x10000)
        g->grants[g->nr_grants++ % NR_GRANTS] = grant;
}

void do_entry(struct gen *g)
{
    write_entry(g, someone(g), some_ref(g));
}

void do_flags(struct gen *g)
{
    static const char *const values[] = { "none", "permit", "permit|readonly",
                                          "permit|readonly|reading", "permit|reading|writing",
                                          "accept", "0x3" };
    struct grant grant = some_grant(g);

    begin(g, grant.from, "flags");
    if (chance(g, 10))
        put(g, " %u %#x", grant.ref, below(g, 0x10000));
    else
        put(g, " %u %s", grant.ref, values[below(g, 7)]);
    end(g);
}

/* ---- Mappings -------------------------------------------------------------------------------- */

static void put_map_flags(struct gen *g, bool *host, bool *pte)
{
    static const char *const usual[] = { "host", "host", "host", "host|ro", "host|ro", "dev",
                                         "dev|ro", "host|dev", "host|dev|ro", "host|app",
                                         "host|pte", "host|ro|pte" };
    unsigned i = below(g, 12);

    if (chance(g, 4)) {
        static const char *const odd[] = { "0", "ro", "pte", "host|0x10000", "dev|pte", "host|0x20",
                                           "0x20", "host|ro|app|0xffff0000" };

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

void do_map(struct gen *g)
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
        put(g, " handle=%u at=s%u", chance(g, 60) ? below(g, 12) : chance(g, 80) ? 250 +
            below(g, 12) : 0xffffffff, slot);
    }
    if (with_bus && chance(g, 50)) {
        if (chance(g, 80))
            put(g, " bus=ma:%c.p%u%s", name[below(g, DOMAINS)], below(g, NR_POOL),
                chance(g, 10) ? "+8" : "");
        else
            put(g, " bus=0x1000");
    }
}

void do_unmap(struct gen *g)
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

void do_replace(struct gen *g)
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
        /* Nothing is there to be lost: lists/unmap.txt has the rest. */
        put(g, " new=");
        if (all_busy(g, who) || chance(g, 20))
            put_no_address(g);
        else
            put(g, "s%u", slot);
    }
    end(g);
}
