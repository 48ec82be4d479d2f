/* SPDX-License-Identifier: MIT */
/*
 * Writes for each domain what a toolstack writes, and removes it at the domain's end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "toolstack_i.h"

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
    QEMU,
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
    [QEMU] = "qemu_xen",
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
    { DOMAIN, "/memory/videoram", ZERO, { 0 } },
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
    { LIBXL, "/dm-version", QEMU, { 0 } },
};

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

void store_toolstack_look(const struct domain *d, struct toolstack_domain *out)
{
    struct hv_domain_info info = { .max_pages = 0 };

    hv_domain_info(d->machine->hv, d->id, &info);
    *out = (struct toolstack_domain){
        .id = d->id,
        .type = d->options.is_hvm ? "hvm" : d->profile->auto_translated ? "pvh" : "pv",
        .has_toolstack = d->has_toolstack,
        .memory = info.max_pages * KIB_PER_PAGE,
        .store_port = d->store_port,
        .store_page = page_number(d, d->store_gfn),
        .console_port = d->console_port,
        .console_page = d->id ? page_number(d, d->console_gfn) : 0,
        .now = d->machine->clock.now / 10000000u,
    };
}

static uint64_t number_of(enum value value, const struct toolstack_domain *d)
{
    switch (value) {
    case STORE_PORT:
        return d->store_port;
    case STORE_PAGE:
        return d->store_page;
    case CONSOLE_PORT:
        return d->console_port;
    case CONSOLE_PAGE:
        return d->console_page;
    case MEMORY:
        return d->memory;
    default:
        return d->id;
    }
}

static void write_text(char *out, size_t size, enum value value, const struct toolstack_domain *d)
{
    char vm[64];

    write_root(vm, sizeof vm, VM_ROOT, d->id);
    if (value < NR_TEXTS)
        snprintf(out, size, "%s", texts[value]);
    else if (value == NAME)
        snprintf(out, size, "domain-%u", d->id);
    else if (value == TYPE)
        snprintf(out, size, "%s", d->type);
    else if (value == VM || value == UUID)
        snprintf(out, size, "%s", value == VM ? vm : vm + strlen("/vm/"));
    else if (value == START_TIME)
        snprintf(out, size, "%" PRIu64 ".%02" PRIu64, d->now / 100, d->now % 100);
    else if (value == CONSOLE_FRONT)
        snprintf(out, size, "/local/domain/%u/console", d->id);
    else if (value == CONSOLE_BACK)
        write_root(out, size, CONSOLE, d->id);
    else
        snprintf(out, size, "%" PRIu64, number_of(value, d));
}

static void write_row(struct store_server *server, const struct row *row,
                      const struct toolstack_domain *d)
{
    char path[128], value[64], perms[2][16];

    write_root(path, sizeof path, row->root, d->id);
    strcat(path, row->path);
    write_text(value, sizeof value, row->value, d);
    store_tool_write(server, path, value);
    if (!row->perms[0])
        return;
    for (unsigned i = 0; i < 2 && row->perms[i]; i++)
        snprintf(perms[i], sizeof perms[i], "%c%u", row->perms[i][0],
                 row->perms[i][1] == '%' ? d->id : 0);
    store_tool_perms(server, path,
                     (const char *const[]){ perms[0], row->perms[1] ? perms[1] : NULL });
}

/* As Debian's xen-init-dom0 leaves it. */
void store_toolstack_begin(struct store_server *server)
{
    store_tool_write(server, "/local/domain/0/domid", "0");
    store_tool_write(server, "/local/domain/0/name", "Domain-0");
    store_tool_write(server, "/local/pool/0/name", "Pool-0");
}

static void remove_roots(struct store_server *server, unsigned domid)
{
    static const enum root roots[] = { VM_ROOT, DOMAIN, LIBXL };
    char path[64];

    store_devices_gone(server, domid);
    for (unsigned i = 0; i < sizeof roots / sizeof *roots; i++) {
        write_root(path, sizeof path, roots[i], domid);
        store_tool_remove(server, path);
    }
}

/* Names the domain's page and port to the store. */
static int introduce(struct store_server *server, const struct toolstack_domain *d)
{
    char id[12], page[24], port[12];

    snprintf(id, sizeof id, "%u", d->id);
    snprintf(page, sizeof page, "%" PRIu64, d->store_page);
    snprintf(port, sizeof port, "%u", d->store_port);
    return store_tool_introduce(server, (const char *const[]){ id, page, port });
}

int store_toolstack_create(struct store_server *server, const struct toolstack_domain *d)
{
    if (d->id && !d->has_toolstack) {
        remove_roots(server, d->id);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            write_row(server, &rows[i], d);
    }
    return introduce(server, d);
}

void store_toolstack_destroy(struct store_server *server, unsigned domid)
{
    if (domid)
        remove_roots(server, domid);
    else
        /* Its kernel's connection starts over, without a page. */
        store_tool_introduce(server, (const char *const[]){ "0", "0", "1" });
}

void store_toolstack_release(struct store_server *server, unsigned domid)
{
    char id[12];

    snprintf(id, sizeof id, "%u", domid);
    store_tool_release(server, id);
}
