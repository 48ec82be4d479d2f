/* SPDX-License-Identifier: MIT */
/*
 * Writes for each domain what a toolstack writes, and removes it at the domain's end. There is no
 * ring page yet, so nothing is written about one: no store/port, store/ring-ref or console.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store_way_i.h"

#define KIB_PER_PAGE (HV_PAGE_SIZE / 1024)

/* What a value is. */
enum value {
    EMPTY,
    NAME,
    DOMID,
    VM,
    UUID,
    TYPE,
    ONE,
    MEMORY,
    START_TIME,
    ONLINE,
};

enum root { DOMAIN, VM_ROOT, LIBXL };

/* Permissions that are not set are inherited. "%u" stands for the domain. */
struct row {
    enum root root;
    const char *path;               /* below the root */
    enum value value;
    const char *perms[2];
};

#define READS { "n0", "r%u" }
#define OWNS  { "n%u" }

static const struct row rows[] = {
    { DOMAIN, "", EMPTY, READS },
    { VM_ROOT, "", EMPTY, READS },
    { LIBXL, "", EMPTY, { "n0" } },
    { LIBXL, "/device", EMPTY, { "n0" } },
    { DOMAIN, "/vm", VM, { 0 } },
    { DOMAIN, "/name", NAME, { 0 } },
    { VM_ROOT, "/name", NAME, { 0 } },
    { DOMAIN, "/cpu", EMPTY, READS },
    { DOMAIN, "/memory", EMPTY, READS },
    { DOMAIN, "/device", EMPTY, READS },
    { DOMAIN, "/control", EMPTY, READS },
    { DOMAIN, "/device/suspend/event-channel", EMPTY, OWNS },
    { DOMAIN, "/control/shutdown", EMPTY, OWNS },
    { DOMAIN, "/control/feature-poweroff", EMPTY, OWNS },
    { DOMAIN, "/control/feature-reboot", EMPTY, OWNS },
    { DOMAIN, "/control/feature-suspend", EMPTY, OWNS },
    { DOMAIN, "/control/sysrq", EMPTY, OWNS },
    { DOMAIN, "/data", EMPTY, OWNS },
    { DOMAIN, "/drivers", EMPTY, OWNS },
    { DOMAIN, "/feature", EMPTY, OWNS },
    { DOMAIN, "/attr", EMPTY, OWNS },
    { DOMAIN, "/error", EMPTY, OWNS },
    { VM_ROOT, "/uuid", UUID, { 0 } },
    { DOMAIN, "/control/platform-feature-multiprocessor-suspend", ONE, { 0 } },
    { DOMAIN, "/control/platform-feature-xs_reset_watches", ONE, { 0 } },
    { LIBXL, "/type", TYPE, { 0 } },
    { DOMAIN, "/memory/static-max", MEMORY, { 0 } },
    { DOMAIN, "/memory/target", MEMORY, { 0 } },
    { DOMAIN, "/domid", DOMID, { 0 } },
    { DOMAIN, "/cpu/0/availability", ONLINE, { 0 } },
    { VM_ROOT, "/start_time", START_TIME, { 0 } },
};

/* A body: strings with their NULs. */
struct body {
    char bytes[512];
    size_t len;
};

static void add(struct body *body, const char *string)
{
    size_t len = strlen(string) + 1;

    memcpy(body->bytes + body->len, string, len);
    body->len += len;
}

static void ask(struct store_server *server, uint32_t type, const struct body *body)
{
    store_way_ask(server->machine, type, body->bytes, body->len, NULL, NULL);
}

static void write_value(struct store_server *server, const char *path, const char *value)
{
    struct body body = { .len = 0 };

    add(&body, path);
    add(&body, value);
    body.len--;                     /* a value has no NUL */
    ask(server, XS_WRITE, &body);
}

static void remove_tree(struct store_server *server, const char *path)
{
    struct body body = { .len = 0 };

    add(&body, path);
    ask(server, XS_RM, &body);
}

/* The same for every machine: a uuid tells the domains of one machine apart. */
static void write_root(char *out, size_t size, enum root root, unsigned domid)
{
    static const char *const formats[] = {
        [DOMAIN] = "/local/domain/%u",
        [VM_ROOT] = "/vm/00000000-0000-4000-8000-%012x",
        [LIBXL] = "/libxl/%u",
    };

    snprintf(out, size, formats[root], domid);
}

static void write_text(char *out, size_t size, enum value value, const struct domain *d)
{
    const struct machine *m = d->machine;
    struct hv_domain_info info = { .max_pages = 0 };
    char vm[64];

    hv_domain_info(m->hv, d->id, &info);
    write_root(vm, sizeof vm, VM_ROOT, d->id);
    *out = '\0';
    switch (value) {
    case EMPTY: break;
    case NAME: snprintf(out, size, "domain-%u", d->id); break;
    case DOMID: snprintf(out, size, "%u", d->id); break;
    case VM: snprintf(out, size, "%s", vm); break;
    case UUID: snprintf(out, size, "%s", vm + strlen("/vm/")); break;
    case TYPE: snprintf(out, size, "%s", d->profile->auto_translated ? "pvh" : "pv"); break;
    case ONE: snprintf(out, size, "1"); break;
    case MEMORY: snprintf(out, size, "%" PRIu64, info.max_pages * KIB_PER_PAGE); break;
    case ONLINE: snprintf(out, size, "online"); break;
    case START_TIME:
        snprintf(out, size, "%" PRIu64 ".%02" PRIu64, m->clock.now / 1000000000u,
                 m->clock.now / 10000000u % 100);
        break;
    }
}

static void write_row(struct store_server *server, const struct row *row, const struct domain *d)
{
    char path[128], value[64], perm[16];
    struct body perms = { .len = 0 };

    write_root(path, sizeof path, row->root, d->id);
    strcat(path, row->path);
    write_text(value, sizeof value, row->value, d);
    write_value(server, path, value);
    if (!row->perms[0])
        return;
    add(&perms, path);
    for (unsigned i = 0; i < 2 && row->perms[i]; i++) {
        snprintf(perm, sizeof perm, i || row->perms[i][1] == '%' ? "%c%u" : "n0", row->perms[i][0],
                 d->id);
        add(&perms, perm);
    }
    ask(server, XS_SET_PERMS, &perms);
}

/* As Debian's xen-init-dom0 leaves it. */
void store_toolstack_begin(struct store_server *server)
{
    write_value(server, "/local/domain/0/domid", "0");
    write_value(server, "/local/domain/0/name", "Domain-0");
    write_value(server, "/local/pool/0/name", "Pool-0");
}

static void remove_roots(struct store_server *server, unsigned domid)
{
    static const enum root roots[] = { VM_ROOT, DOMAIN, LIBXL };
    char path[64];

    for (unsigned i = 0; i < sizeof roots / sizeof *roots; i++) {
        write_root(path, sizeof path, roots[i], domid);
        remove_tree(server, path);
    }
}

void store_toolstack_create(struct store_server *server, const struct domain *d)
{
    struct body introduce = { .len = 0 };
    char text[16];

    if (!d->id)
        return;
    remove_roots(server, d->id);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        write_row(server, &rows[i], d);
    snprintf(text, sizeof text, "%u", d->id);
    add(&introduce, text);
    add(&introduce, "0");
    add(&introduce, "1");
    ask(server, XS_INTRODUCE, &introduce);
}

void store_toolstack_destroy(struct store_server *server, unsigned domid)
{
    if (domid)
        remove_roots(server, domid);
}
