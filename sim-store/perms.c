/* SPDX-License-Identifier: MIT */
/* Permissions: reads and prints their text, and decides what a domain may do. */
#include "store_i.h"

static const struct {
    char letter;
    uint8_t may;
} letters[] = {
    { 'n', 0 }, { 'r', MAY_READ }, { 'w', MAY_WRITE }, { 'b', MAY_READ | MAY_WRITE },
};
#define NR_LETTERS (sizeof letters / sizeof *letters)

bool store_perm_parse(const char *text, struct perm *out)
{
    char *end;
    size_t i = 0;

    while (i < NR_LETTERS && letters[i].letter != *text)
        i++;
    if (i == NR_LETTERS)
        return false;
    out->may = letters[i].may;
    out->ignored = false;
    out->domid = (unsigned)strtol(text + 1, &end, 0);
    return end != text + 1 && !*end;
}

size_t store_perm_text(const struct perm *perm, char *out)
{
    size_t i = 0;

    while (letters[i].may != perm->may)
        i++;
    return (size_t)sprintf(out, "%c%d", letters[i].letter, (int)perm->domid) + 1;
}

struct perms store_perms_copy(const struct perms *perms)
{
    struct perms copy = { .nr = perms->nr };

    copy.entries = store_copy(perms->entries, perms->nr * sizeof *perms->entries);
    return copy;
}

void store_perms_free(struct perms *perms)
{
    free(perms->entries);
    *perms = (struct perms){ 0 };
}

/*
 * The domain of an entry is another one than when the entry was made. The owner's never is: its
 * nodes went with it.
 */
static bool is_stale(const struct store *store, const struct perm *perm, uint64_t generation)
{
    const struct store_domain *d = store_domain(store, perm->domid);

    return perm->ignored || !d || d->generation > generation;
}

void store_perms_settle(const struct store *store, struct perms *perms, uint64_t generation)
{
    for (size_t i = 1; i < perms->nr; i++)
        if (is_stale(store, &perms->entries[i], generation))
            perms->entries[i].ignored = true;
}

unsigned store_perms_for(const struct store_conn *conn, const struct perms *perms,
                         uint64_t generation)
{
    const struct perm *owner = &perms->entries[0];
    const struct store_conn *first = conn->domain->conn;
    unsigned own = conn->domain->domid;
    unsigned target = first && first->target ? first->target->domid : own;

    if (store_conn_is_privileged(conn) || owner->domid == own || owner->domid == target)
        return MAY_READ | MAY_WRITE | MAY_OWN;
    for (const struct perm *p = owner + 1; p < perms->entries + perms->nr; p++)
        if ((p->domid == own || p->domid == target) && !is_stale(conn->store, p, generation))
            return p->may;
    return owner->may;
}

struct held *store_special(struct store *store, const char *path)
{
    if (!strcmp(path, "@introduceDomain"))
        return &store->special[0];
    return strcmp(path, "@releaseDomain") ? NULL : &store->special[1];
}
