/* SPDX-License-Identifier: MIT */
/* The files of /sys/hypervisor: what a domain's kernel shows there of its hypervisor. */
#include "dev_sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <gntsim/xen.h>

#define MAX_TEXT 1100u

/* A file's text, which has room for MAX_TEXT bytes. Its length, or a negative errno. */
typedef long show_fn(const struct domain *d, char *text);

static long say(char *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static long say(char *text, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, MAX_TEXT, format, ap);
    va_end(ap);
    return n;
}

static long ask(const struct domain *d, unsigned cmd, void *arg)
{
    return hv_version(d->machine->hv, d->id, cmd, arg);
}

static long show_type(const struct domain *d, char *text)
{
    (void)d;
    return say(text, "xen\n");
}

static long show_guest_type(const struct domain *d, char *text)
{
    return say(text, "%s\n", d->profile->auto_translated ? "PVH" : "PV");
}

static long show_major(const struct domain *d, char *text)
{
    return say(text, "%ld\n", ask(d, XENVER_version, NULL) >> 16);
}

static long show_minor(const struct domain *d, char *text)
{
    return say(text, "%ld\n", ask(d, XENVER_version, NULL) & 0xffff);
}

static long show_extra(const struct domain *d, char *text)
{
    xen_extraversion_t extra = { 0 };

    ask(d, XENVER_extraversion, extra);
    return say(text, "%.*s\n", (int)sizeof extra, extra);
}

static struct xen_compile_info compilation(const struct domain *d)
{
    struct xen_compile_info info = { .compiler = "" };

    ask(d, XENVER_compile_info, &info);
    return info;
}

static long show_compiler(const struct domain *d, char *text)
{
    return say(text, "%s\n", compilation(d).compiler);
}

static long show_compiled_by(const struct domain *d, char *text)
{
    return say(text, "%s\n", compilation(d).compile_by);
}

static long show_compile_date(const struct domain *d, char *text)
{
    return say(text, "%s\n", compilation(d).compile_date);
}

static long show_capabilities(const struct domain *d, char *text)
{
    xen_capabilities_info_t capabilities = { 0 };

    ask(d, XENVER_capabilities, capabilities);
    return say(text, "%.*s\n", (int)sizeof capabilities, capabilities);
}

static long show_changeset(const struct domain *d, char *text)
{
    xen_changeset_info_t changeset = { 0 };

    ask(d, XENVER_changeset, changeset);
    return say(text, "%.*s\n", (int)sizeof changeset, changeset);
}

static long show_virtual_start(const struct domain *d, char *text)
{
    struct xen_platform_parameters parameters = { .virt_start = 0 };

    ask(d, XENVER_platform_parameters, &parameters);
    return say(text, "%" PRIx64 "\n", (uint64_t)parameters.virt_start);
}

static long show_pagesize(const struct domain *d, char *text)
{
    return say(text, "%lx\n", ask(d, XENVER_pagesize, NULL));
}

static long show_features(const struct domain *d, char *text)
{
    struct xen_feature_info info = { .submap_idx = 0 };

    ask(d, XENVER_get_features, &info);
    return say(text, "%08" PRIx32 "\n", info.submap);
}

static long show_buildid(const struct domain *d, char *text)
{
    long rc = ask(d, XENVER_build_id, NULL);

    return rc == -EPERM ? say(text, "<denied>") : rc;
}

static long show_uuid(const struct domain *d, char *text)
{
    xen_domain_handle_t uuid = { 0 };
    long n = 0;

    ask(d, XENVER_guest_handle, uuid);
    for (unsigned i = 0; i < sizeof uuid; i++)
        n += sprintf(text + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                     uuid[i]);
    return n + sprintf(text + n, "\n");
}

static const char *const directories[] = { "", "version", "compilation", "properties" };
#define NR_DIRECTORIES (sizeof directories / sizeof *directories)

static const struct row {
    unsigned directory;
    const char *name;
    mode_t mode;
    show_fn *show;
} rows[] = {
    { 0, "type", 0444, show_type },
    { 0, "guest_type", 0444, show_guest_type },
    { 0, "uuid", 0444, show_uuid },
    { 1, "major", 0444, show_major },
    { 1, "minor", 0444, show_minor },
    { 1, "extra", 0444, show_extra },
    { 2, "compiler", 0444, show_compiler },
    { 2, "compiled_by", 0444, show_compiled_by },
    { 2, "compile_date", 0444, show_compile_date },
    { 3, "capabilities", 0444, show_capabilities },
    { 3, "changeset", 0444, show_changeset },
    { 3, "virtual_start", 0444, show_virtual_start },
    { 3, "pagesize", 0444, show_pagesize },
    { 3, "features", 0444, show_features },
    { 3, "buildid", 0400, show_buildid },
};
#define NR_ROWS (sizeof rows / sizeof *rows)

fuse_ino_t sys_lookup(fuse_ino_t dir, const char *name)
{
    for (unsigned i = 1; !ino_index(dir) && i < NR_DIRECTORIES; i++)
        if (!strcmp(directories[i], name))
            return static_ino(KIND_SYS, ino_domid(dir), i);
    for (unsigned i = 0; i < NR_ROWS; i++)
        if (rows[i].directory == ino_index(dir) && !strcmp(rows[i].name, name))
            return static_ino(KIND_SYS_FILE, ino_domid(dir), i);
    return 0;
}

/* They come before the files. */
static off_t nr_directories(fuse_ino_t dir)
{
    return ino_index(dir) ? 0 : NR_DIRECTORIES - 1;
}

bool sys_is_directory(fuse_ino_t dir, off_t index)
{
    return index < nr_directories(dir);
}

const char *sys_name_at(fuse_ino_t dir, off_t index)
{
    if (sys_is_directory(dir, index))
        return directories[index + 1];
    index -= nr_directories(dir);
    for (unsigned i = 0; i < NR_ROWS; i++)
        if (rows[i].directory == ino_index(dir) && !index--)
            return rows[i].name;
    return NULL;
}

mode_t sys_mode(fuse_ino_t ino)
{
    return rows[ino_index(ino)].mode;
}

void sys_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    const struct domain *d;
    char text[MAX_TEXT];
    long n = -ENODEV;

    machine_lock(fs->machine);
    d = machine_domain_at(fs->machine, ino_domid(ino));
    if (d)
        n = rows[ino_index(ino)].show(d, text);
    machine_unlock(fs->machine);
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else if (off >= n)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, text + off, (size_t)(n - off) < size ? (size_t)(n - off) : size);
}
