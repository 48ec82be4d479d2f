/* SPDX-License-Identifier: MIT */
/*
 * Writes for each domain what a toolstack writes, and removes it at the domain's end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store_way_i.h"

#define KIB_PER_PAGE (HV_PAGE_SIZE / 1024)

/* What a value is: one of the texts below, a path, or a number. */
enum value {
    EMPTY,
    ZERO,
    ONE,
    ONLINE,
    PTY,
    VT100,
    XENCONSOLED,
    CONSOLE_LIMIT,
    NR_TEXTS,
    NAME = NR_TEXTS,
    TYPE,
    VM,
    UUID,
    START_TIME,
    CONSOLE_FRONT,
    CONSOLE_BACK,
    DOMID,
    MEMORY,
    STORE_PORT,
    STORE_PAGE,
    CONSOLE_PORT,
    CONSOLE_PAGE,
};

static const char *const texts[NR_TEXTS] = {
    [EMPTY] = "",
    [ZERO] = "0",
    [ONE] = "1",
    [ONLINE] = "online",
    [PTY] = "pty",
    [VT100] = "vt100",
    [XENCONSOLED] = "xenconsoled",
    [CONSOLE_LIMIT] = "1048576",
};

enum root { DOMAIN, VM_ROOT, LIBXL, CONSOLE };

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
    { DOMAIN, "/store/port", STORE_PORT, { 0 } },
    { DOMAIN, "/store/ring-ref", STORE_PAGE, { 0 } },
    { LIBXL, "/device/console/0", EMPTY, { 0 } },
    { LIBXL, "/device/console/0/frontend", CONSOLE_FRONT, { 0 } },
    { LIBXL, "/device/console/0/backend", CONSOLE_BACK, { 0 } },
    { LIBXL, "/device/console/0/frontend-id", DOMID, { 0 } },
    { LIBXL, "/device/console/0/online", ONE, { 0 } },
    { LIBXL, "/device/console/0/state", ONE, { 0 } },
    { LIBXL, "/device/console/0/protocol", VT100, { 0 } },
    { DOMAIN, "/console", EMPTY, READS },
    { DOMAIN, "/console/backend", CONSOLE_BACK, { 0 } },
    { DOMAIN, "/console/backend-id", ZERO, { "n%u", "r0" } },
    { DOMAIN, "/console/limit", CONSOLE_LIMIT, READS },
    { DOMAIN, "/console/type", XENCONSOLED, READS },
    { DOMAIN, "/console/output", PTY, READS },
    { DOMAIN, "/console/tty", EMPTY, READS },
    { DOMAIN, "/console/port", CONSOLE_PORT, READS },
    { DOMAIN, "/console/ring-ref", CONSOLE_PAGE, READS },
    { CONSOLE, "", EMPTY, READS },
    { CONSOLE, "/frontend", CONSOLE_FRONT, { 0 } },
    { CONSOLE, "/frontend-id", DOMID, { 0 } },
    { CONSOLE, "/online", ONE, { 0 } },
    { CONSOLE, "/state", ONE, { 0 } },
    { CONSOLE, "/protocol", VT100, { 0 } },
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
        [CONSOLE] = "/local/domain/0/backend/console/%u/0",
    };

    snprintf(out, size, formats[root], domid);
}

/* A page as a toolstack calls it: the guest's number of it, or the machine's if it is PV. */
static uint64_t page_number(const struct domain *d, uint64_t gfn)
{
    uint64_t number = 0;

    hv_grant_frame_number(d->machine->hv, d->id, gfn, &number);
    return number;
}

static uint64_t number_of(enum value value, const struct domain *d)
{
    struct hv_domain_info info = { .max_pages = 0 };

    switch (value) {
    case STORE_PORT:
        return d->store_port;
    case STORE_PAGE:
        return page_number(d, d->store_gfn);
    case CONSOLE_PORT:
        return d->console_port;
    case CONSOLE_PAGE:
        return page_number(d, d->console_gfn);
    case MEMORY:
        hv_domain_info(d->machine->hv, d->id, &info);
        return info.max_pages * KIB_PER_PAGE;
    default:
        return d->id;
    }
}

static void write_text(char *out, size_t size, enum value value, const struct domain *d)
{
    uint64_t now = d->machine->clock.now / 10000000u;
    char vm[64];

    write_root(vm, sizeof vm, VM_ROOT, d->id);
    if (value < NR_TEXTS)
        snprintf(out, size, "%s", texts[value]);
    else if (value == NAME)
        snprintf(out, size, "domain-%u", d->id);
    else if (value == TYPE)
        snprintf(out, size, "%s", d->profile->auto_translated ? "pvh" : "pv");
    else if (value == VM || value == UUID)
        snprintf(out, size, "%s", value == VM ? vm : vm + strlen("/vm/"));
    else if (value == START_TIME)
        snprintf(out, size, "%" PRIu64 ".%02" PRIu64, now / 100, now % 100);
    else if (value == CONSOLE_FRONT)
        snprintf(out, size, "/local/domain/%u/console", d->id);
    else if (value == CONSOLE_BACK)
        write_root(out, size, CONSOLE, d->id);
    else
        snprintf(out, size, "%" PRIu64, number_of(value, d));
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
        snprintf(perm, sizeof perm, "%c%u", row->perms[i][0], row->perms[i][1] == '%' ? d->id : 0);
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

/* Removes the directories above a path, up to the first that is not empty. */
static void remove_empty_parents(struct store_server *server, char *path)
{
    char *slash, names[XENSTORE_PAYLOAD_MAX];
    size_t size;

    while ((slash = strrchr(path, '/')) && slash != path) {
        struct body body = { .len = 0 };

        *slash = '\0';
        add(&body, path);
        if (store_way_ask(server->machine, XS_DIRECTORY, body.bytes, body.len, names, &size) ||
            size)
            return;
        remove_tree(server, path);
    }
}

static void remove_roots(struct store_server *server, unsigned domid)
{
    static const enum root roots[] = { VM_ROOT, DOMAIN, LIBXL, CONSOLE };
    char path[64];

    for (unsigned i = 0; i < sizeof roots / sizeof *roots; i++) {
        write_root(path, sizeof path, roots[i], domid);
        remove_tree(server, path);
    }
    remove_empty_parents(server, path);
}

/* Names the domain's page and port to the store. */
static void introduce(struct store_server *server, const struct domain *d)
{
    struct body body = { .len = 0 };
    char text[24];

    snprintf(text, sizeof text, "%u", d->id);
    add(&body, text);
    snprintf(text, sizeof text, "%" PRIu64, page_number(d, d->store_gfn));
    add(&body, text);
    snprintf(text, sizeof text, "%u", d->store_port);
    add(&body, text);
    ask(server, XS_INTRODUCE, &body);
}

void store_toolstack_create(struct store_server *server, const struct domain *d)
{
    if (d->id) {
        remove_roots(server, d->id);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            write_row(server, &rows[i], d);
    }
    introduce(server, d);
}

void store_toolstack_destroy(struct store_server *server, unsigned domid)
{
    if (domid) {
        remove_roots(server, domid);
    } else {
        struct body body = { .len = 0 };

        /* Its kernel's connection starts over, without a page. */
        add(&body, "0");
        add(&body, "0");
        add(&body, "1");
        ask(server, XS_INTRODUCE, &body);
    }
}
