/* SPDX-License-Identifier: MIT */
/* Gives names to numbers that differ from machine to machine: A.p3 is the frame of A's page 3. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"

#define NO_FRAME 0x7fffffffu       /* beyond every machine's memory, and fits an entry of version 1 */
#define ABSENT 9u                  /* no domain ever has this id */

static const struct { const char *name; uint64_t value; } flags[] = {
    { "host", GNTMAP_host_map }, { "dev", GNTMAP_device_map }, { "ro", GNTMAP_readonly },
    { "app", GNTMAP_application_map },
    { "pte", GNTMAP_contains_pte }, { "permit", GTF_permit_access },
    { "accept", GTF_accept_transfer },
    { "transitive", GTF_transitive }, { "readonly", GTF_readonly }, { "reading", GTF_reading },
    { "writing", GTF_writing },
    { "sub", GTF_sub_page }, { "sgref", GNTCOPY_source_gref }, { "dgref", GNTCOPY_dest_gref },
    { "none", 0 },
};

static const struct { const char *name; domid_t id; } special_domains[] = {
    { "self", DOMID_SELF }, { "io", DOMID_IO }, { "xen", DOMID_XEN }, { "cow", DOMID_COW },
    { "invalid", DOMID_INVALID },
};

static const char letters[NR_WHO] = { '0', 'A', 'B', 'C' };

uint64_t parse_number(const char *text)
{
    uint64_t value = 0;

    while (*text) {
        size_t n = strcspn(text, "|");
        char *end;
        unsigned i = 0;

        while (i < sizeof flags / sizeof *flags &&
               (strlen(flags[i].name) != n || strncmp(text, flags[i].name, n)))
            i++;
        if (i < sizeof flags / sizeof *flags) {
            value |= flags[i].value;
        } else {
            value |= strtoull(text, &end, 0);
            if (end == text || end != text + n)
                die("what number is '%s'?", text);
        }
        text += n + (text[n] == '|');
    }
    return value;
}

enum who parse_who(const char *text)
{
    for (unsigned i = 0; i < NR_WHO; i++)
        if (text[0] == letters[i])
            return (enum who)i;
    die("what domain is '%s'?", text);
}

static domid_t domid_of(const struct exec *e, enum who who)
{
    return who == WHO_DOM0 ? 0 : (domid_t)(e->base + who);
}

uint64_t parse_domain(struct exec *e, enum who who, const char *text)
{
    (void)who;
    if (text[0] && !text[1] && strchr("0ABC", text[0]))
        return domid_of(e, parse_who(text));
    if (!strcmp(text, "absent"))
        return e->base + ABSENT;
    for (unsigned i = 0; i < sizeof special_domains / sizeof *special_domains; i++)
        if (!strcmp(text, special_domains[i].name))
            return special_domains[i].id;
    return parse_number(text);
}

/* A.p3, A.g0, A.t0, A.shared */
static uint64_t named_frame(struct exec *e, const char *text)
{
    const struct memory *m = &e->memory[parse_who(text)];
    unsigned i = (unsigned)strtoul(text + 3, NULL, 10);

    if (!strcmp(text + 2, "shared"))
        return m->shared_mfn;
    if (text[2] == 'p' && i < NR_POOL)
        return m->pool[i];
    if (text[2] == 'g' && i < MAX_GRANT_FRAMES)
        return m->grant_mfn[i] ? m->grant_mfn[i] : NO_FRAME;
    if (text[2] == 't' && i < MAX_STATUS_FRAMES)
        return m->status_mfn[i] ? m->status_mfn[i] : NO_FRAME;
    die("what frame is '%s'?", text);
}

uint64_t parse_frame(struct exec *e, enum who who, const char *text)
{
    (void)who;
    if (strchr("ABC", text[0]) && text[1] == '.')
        return named_frame(e, text);
    return strcmp(text, "none") ? parse_number(text) : NO_FRAME;
}

uint64_t parse_address(struct exec *e, enum who who, const char *text)
{
    static const struct { const char *name; uint64_t address; } places[] = {
        { "hole", GUEST_VA(PAGE_ARG + NR_ARG) }, { "wild", UINT64_C(0x700000000000) },
        { "odd", UINT64_C(0x800000000000) }, { "xen", HYPERVISOR_VIRT_START }, { "null", 0 },
    };
    const char *plus = strchr(text, '+');
    uint64_t offset = plus ? parse_number(plus + 1) : 0;
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)(plus ? (size_t)(plus - text) : strlen(text)), text);
    if (!strncmp(name, "pte:", 4))
        return backend_pte(e->b, who, parse_address(e, who, name + 4)) + offset;
    if (!strncmp(name, "ma:", 3))
        return (parse_frame(e, who, name + 3) << 12) + offset;
    if (name[0] == 's' && strspn(name + 1, "0123456789") == strlen(name + 1) && name[1])
        return GUEST_VA(PAGE_SLOT + strtoul(name + 1, NULL, 10) % NR_SLOTS) + offset;
    if (name[0] == 'p' && strspn(name + 1, "0123456789") == strlen(name + 1) && name[1])
        return GUEST_VA(PAGE_POOL + strtoul(name + 1, NULL, 10) % NR_POOL) + offset;
    if (!strcmp(name, "arg"))
        return backend_arg_address(e->b, who) + offset;
    if (!strcmp(name, "list"))
        return backend_list_address(e->b, who) + offset;
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
        if (!strcmp(name, places[i].name))
            return places[i].address + offset;
    return parse_number(name) + offset;
}

uint64_t parse_handle(struct exec *e, enum who who, const char *text)
{
    const struct memory *m = &e->memory[who];
    unsigned i;

    if (text[0] != '@')
        return parse_number(text);
    if (text[1] == 's')
        return m->at_slot[strtoul(text + 2, NULL, 10) % NR_SLOTS];
    i = (unsigned)strtoul(text + 1, NULL, 10);
    return i < m->nr_recent && i < NR_RECENT ? m->recent[(m->nr_recent - 1 - i) % NR_RECENT]
                                             : UINT32_MAX;
}

void print_domain(struct exec *e, uint64_t domid)
{
    for (unsigned i = 0; i < NR_WHO; i++)
        if (domid == domid_of(e, (enum who)i)) {
            fputc(letters[i], e->out);
            return;
        }
    for (unsigned i = 0; i < sizeof special_domains / sizeof *special_domains; i++)
        if (domid == special_domains[i].id) {
            fputs(special_domains[i].name, e->out);
            return;
        }
    if (domid == e->base + ABSENT)
        fputs("absent", e->out);
    else
        fprintf(e->out, "%llu", (unsigned long long)domid);
}

static int find_frame(const uint64_t *list, unsigned n, uint64_t frame)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == frame)
            return (int)i;
    return -1;
}

static bool print_table_frame(struct exec *e, uint64_t frame)
{
    int i;

    for (unsigned who = WHO_A; frame && who < NR_WHO; who++) {
        const struct memory *m = &e->memory[who];

        if ((i = find_frame(m->grant_mfn, MAX_GRANT_FRAMES, frame)) >= 0)
            fprintf(e->out, "%c.g%d", letters[who], i);
        else if ((i = find_frame(m->status_mfn, MAX_STATUS_FRAMES, frame)) >= 0)
            fprintf(e->out, "%c.t%d", letters[who], i);
        else if (frame == m->shared_mfn)
            fprintf(e->out, "%c.shared", letters[who]);
        else
            continue;
        return true;
    }
    return false;
}

/*
 * A page that a transfer lost can become part of a table: then it has two names. One that a
 * destroyed domain gave back, too, if its own table grows while it dies; which of them that is, is
 * chance.
 */
void print_frame(struct exec *e, uint64_t frame, bool of_table)
{
    int i;

    if (of_table && print_table_frame(e, frame))
        return;
    for (unsigned who = WHO_A; frame && who < NR_WHO; who++) {
        if (of_table && backend_guest(e->b, (enum who)who)->state != GUEST_ALIVE)
            continue;
        if ((i = find_frame(e->memory[who].pool, NR_POOL, frame)) >= 0) {
            fprintf(e->out, "%c.p%d", letters[who], i);
            return;
        }
    }
    if (!of_table && print_table_frame(e, frame))
        return;
    if (frame == NO_FRAME)
        fputs("none", e->out);
    else if (of_table)      /* of a domain that dies: nobody looks at those frames any more */
        fputc('?', e->out);
    else
        fprintf(e->out, "%#llx", (unsigned long long)frame);
}
