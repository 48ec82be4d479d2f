/* SPDX-License-Identifier: MIT */
/* Generates copies, transfers and the remaining operations on grants. */
#include "gen_i.h"

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

void do_copy(struct gen *g)
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
        put(g, " len=%u flags=%s%s%s", lengths[below(g, sizeof lengths / sizeof *lengths)],
            sgref ? "sgref" : "0", dgref ? "|dgref" : "", chance(g, 2) ? "|4" : "");
    }
    end(g);
}

void do_transfer(struct gen *g)
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
        put(g, " %u flags=%s dom=%c frame=%s", ref, chance(g, 92) ? "accept" : "accept|0x20",
            name[chance(g, 95) ? from : below(g, DOMAINS)], chance(g, 80) ? "0" : "none");
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

void do_show(struct gen *g)
{
    unsigned who = someone(g), page = below(g, NR_POOL);

    if (!(g->hidden[who] & 1u << page) || g->lost[who] & 1u << page)
        return;
    begin(g, who, "show");
    put(g, " p%u %c.p%u", page, name[who], page);
    end(g);
    g->hidden[who] &= ~(1u << page);
}

void do_swap(struct gen *g)
{
    unsigned who = someone(g), n = some_count(g);

    begin(g, who, "swap");
    put_odd_call(g, n);
    for (unsigned i = 0; i < n; i++)
        put(g, "%s a=%u b=%u", i ? " /" : "", some_ref(g), some_ref(g));
    end(g);
}

void do_table(struct gen *g)
{
    static const char *const ops[] = { "setup_table", "setup_table", "get_status_frames",
                                       "query_size", "get_version", "dump_table" };
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

void do_version(struct gen *g)
{
    unsigned who = someone(g), version = chance(g, 97) ? 1 + below(g, 2) : below(g, 5);

    begin(g, who, "set_version");
    put(g, " version=%u", version);
    end(g);
    if (version == 1 || version == 2)
        g->version[who] = version;
}

void do_flush(struct gen *g)
{
    unsigned who = someone(g);

    begin(g, who, "cache_flush");
    put_odd_call(g, 1);
    put(g, " bus=ma:");
    put_frame(g, who);
    put(g, " offset=%u len=%u op=%u", below(g, 8) ? 64 * below(g, 64) : below(g, 65536),
        below(g, 4) ? 64 : below(g, 65536), below(g, 5));
    end(g);
}

void do_memory(struct gen *g)
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
