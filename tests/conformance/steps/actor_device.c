/* SPDX-License-Identifier: MIT */
/* The actor's commands for gntdev and gntalloc, and for plain ioctls on any device. */
#include "actor_i.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

static void do_open(struct actor *a)
{
    const char *mode = word(a, 3);
    int flags = !strcmp(mode, "r") ? O_RDONLY : !strcmp(mode, "w") ? O_WRONLY : O_RDWR;
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/dev/xen/%s", word(a, 2));
    fd = open(path, flags | (strstr(mode, "nb") ? O_NONBLOCK : 0) |
              (strstr(mode, "exec") ? 0 : O_CLOEXEC));
    if (fd >= 0)
        name_thing(a, FD, word(a, 1))->value = fd;
    answer_rc(a, fd < 0 ? -1 : 0);
}

static void do_close(struct actor *a)
{
    struct thing *t = find(a, FD, word(a, 1));

    answer_rc(a, close(t ? (int)t->value : -1));
    if (t)
        t->kind = FREE;
}

static void do_dup(struct actor *a)
{
    int fd = fcntl(fd_of(a, 1), F_DUPFD_CLOEXEC, 3);

    if (fd >= 0)
        name_thing(a, FD, word(a, 2))->value = fd;
    answer_rc(a, fd < 0 ? -1 : 0);
}

static void do_pipe(struct actor *a)
{
    int fds[2], rc = pipe2(fds, O_CLOEXEC | O_NONBLOCK);

    if (!rc) {
        name_thing(a, FD, word(a, 1))->value = fds[0];
        name_thing(a, FD, word(a, 2))->value = fds[1];
    }
    answer_rc(a, rc);
}

/* read and write FD SIZE [ADDRESS] */
static void do_read_write(struct actor *a)
{
    static char buf[65536];
    size_t size = number(a, 2);
    char *p = a->nr_words > 3 ? address_of(a, a->words[3]) : buf;

    if (p == buf && size > sizeof buf)
        bad_script("too much for the buffer");
    answer_rc(a, a->words[0][0] == 'r' ? read(fd_of(a, 1), p, size) : write(fd_of(a, 1), p, size));
}

static void do_seek(struct actor *a)
{
    answer_rc(a, lseek(fd_of(a, 1), (off_t)number(a, 2), SEEK_SET));
}

static void do_poll(struct actor *a)
{
    struct pollfd p = { fd_of(a, 1), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI, 0 };
    int rc = poll(&p, 1, 0);

    answer(a, "rc=%d in=%d out=%d err=%d hup=%d pri=%d", rc, !!(p.revents & POLLIN),
           !!(p.revents & POLLOUT),
           !!(p.revents & POLLERR), !!(p.revents & POLLHUP), !!(p.revents & POLLPRI));
}

/* ioctl FD CMD null|bad|HEX: with the bytes as argument, whose values afterwards are answered. */
static void do_ioctl(struct actor *a)
{
    const char *hex = word(a, 3);
    unsigned char bytes[512];
    size_t size = strlen(hex) / 2;
    int rc;

    if (!strcmp(hex, "null") || !strcmp(hex, "bad")) {
        answer_rc(a, ioctl(fd_of(a, 1), number(a, 2),
                           hex[0] == 'n' ? NULL : (void *)0xfffffffffffff000ul));
        return;
    }
    for (size_t i = 0; i < size && i < sizeof bytes; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
            bad_script("%s is not hexadecimal", hex);
    rc = ioctl(fd_of(a, 1), number(a, 2), bytes);
    answer_rc(a, rc);
    answer(a, " out=");
    for (size_t i = 0; i < size; i++)
        answer(a, "%02x", bytes[i]);
}

/* ---- gntalloc -------------------------------------------------------------------------------- */

/* alloc FD X DOM w|r|FLAGS COUNT: X.index, X.0, X.1 ... are for later steps. */
static void do_alloc(struct actor *a)
{
    uint32_t count = (uint32_t)number(a, 5), room = count < 65536 ? count : 1;
    const char *flags = word(a, 4), *name = word(a, 2);
    struct ioctl_gntalloc_alloc_gref *op = calloc(1, sizeof *op + room * sizeof(uint32_t));
    int rc;

    op->domid = (uint16_t)number(a, 3);
    op->flags = !strcmp(flags, "w") ? GNTALLOC_FLAG_WRITABLE : !strcmp(flags, "r") ? 0
                                    : (uint16_t)number_of(flags);
    op->count = count;
    rc = ioctl(fd_of(a, 1), IOCTL_GNTALLOC_ALLOC_GREF, op);
    answer_rc(a, rc);
    if (!rc)
        answer(a, " index=0x%llx", (long long)op->index);
    hide(a, "%s.index=%llu ", name, (long long)op->index);
    for (uint32_t i = 0; !rc && i < count && i < 64; i++) {
        uint32_t ref;

        memcpy(&ref, (char *)op + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids) +
               i * sizeof ref, sizeof ref);
        hide(a, "%s.%u=%u ", name, i, ref);
    }
    free(op);
}

static void do_dealloc(struct actor *a)
{
    struct ioctl_gntalloc_dealloc_gref op = { .index = number(a, 2),
                                              .count = (uint32_t)number(a, 3) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_GNTALLOC_DEALLOC_GREF, &op));
}

/* The two devices' structures and numbers are the same; the file decides. notify FD INDEX ACTION
 * PORT */
static void do_notify(struct actor *a)
{
    struct ioctl_gntdev_unmap_notify op = { .index = number(a, 2), .action = (uint32_t)number(a, 3),
                                            .event_channel_port = (uint32_t)number(a, 4) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &op));
}

/* ---- gntdev ---------------------------------------------------------------------------------- */

/* mapop FD X DOM:REF...: X.index is for later steps. mapop-count FD X COUNT: a count without the
 * references. */
static void do_mapop(struct actor *a)
{
    bool counted = !strcmp(a->words[0], "mapop-count");
    uint32_t n = counted ? 1 : (uint32_t)(a->nr_words - 3);
    struct ioctl_gntdev_map_grant_ref *op = calloc(1, sizeof *op + (n + 1) * sizeof op->refs[0]);
    struct ioctl_gntdev_grant_ref *refs =
        (void *)((char *)op + offsetof(struct ioctl_gntdev_map_grant_ref, refs));
    int rc;

    op->count = counted ? (uint32_t)number(a, 3) : n;
    for (uint32_t i = 0; !counted && i < n; i++)
        if (sscanf(a->words[3 + i], "%u:%u", &refs[i].domid, &refs[i].ref) != 2)
            bad_script("%s is not DOM:REF", a->words[3 + i]);
    op->index = 0xeee000;
    rc = ioctl(fd_of(a, 1), IOCTL_GNTDEV_MAP_GRANT_REF, op);
    answer_rc(a, rc);
    if (!rc)
        answer(a, " index=0x%llx", (long long)op->index);
    hide(a, "%s.index=%llu ", word(a, 2), (long long)op->index);
    free(op);
}

static void do_unmapop(struct actor *a)
{
    struct ioctl_gntdev_unmap_grant_ref op = { .index = number(a, 2),
                                               .count = (uint32_t)number(a, 3) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_GNTDEV_UNMAP_GRANT_REF, &op));
}

static void do_offset(struct actor *a)
{
    struct ioctl_gntdev_get_offset_for_vaddr op = { .vaddr = (uint64_t)address_of(a, word(a, 2)) };
    int rc = ioctl(fd_of(a, 1), IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op);

    answer_rc(a, rc);
    if (!rc)
        answer(a, " offset=0x%llx count=%u", (long long)op.offset, op.count);
}

static void do_max_grants(struct actor *a)
{
    struct ioctl_gntdev_set_max_grants op = { .count = (uint32_t)number(a, 2) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_GNTDEV_SET_MAX_GRANTS, &op));
}

/* One end of a copy: ADDRESS, or DOM:REF:OFFSET of a grant. Both ends are laid out alike. */
static bool copy_end(struct actor *a, const char *text, void *end)
{
    struct ioctl_gntdev_grant_copy_segment s = { 0 };
    unsigned dom, ref, offset;
    bool granted = sscanf(text, "%u:%u:%u", &dom, &ref, &offset) == 3;

    if (granted) {
        s.source.foreign.ref = ref;
        s.source.foreign.offset = (uint16_t)offset;
        s.source.foreign.domid = (domid_t)dom;
    } else {
        s.source.virt = address_of(a, text);
    }
    memcpy(end, &s.source, sizeof s.source);
    return granted;
}

/* copy FD SRC DST LEN [SRC DST LEN ...]; copy-flags FD FLAGS SRC DST LEN: with flags that do not
 * fit. */
static void do_copy(struct actor *a)
{
    bool forced = !strcmp(a->words[0], "copy-flags");
    int first = forced ? 3 : 2, n = (a->nr_words - first) / 3, rc;
    struct ioctl_gntdev_grant_copy_segment *segments = calloc((size_t)n + 1, sizeof *segments);
    struct ioctl_gntdev_grant_copy op = { .count = (uint32_t)n, .segments = segments };

    for (int i = 0; i < n; i++) {
        char **w = a->words + first + 3 * i;

        if (copy_end(a, w[0], &segments[i].source))
            segments[i].flags |= GNTCOPY_source_gref;
        if (copy_end(a, w[1], &segments[i].dest))
            segments[i].flags |= GNTCOPY_dest_gref;
        if (forced)
            segments[i].flags = (uint16_t)number(a, 2);
        segments[i].len = (uint16_t)number_of(w[2]);
        segments[i].status = 77;
    }
    rc = ioctl(fd_of(a, 1), IOCTL_GNTDEV_GRANT_COPY, &op);
    answer_rc(a, rc);
    answer(a, " status=");
    for (int i = 0; i < n; i++)
        answer(a, "%s%d", i ? "," : "", segments[i].status);
    free(segments);
}

const struct command device_commands[] = {
    { "open", do_open },                /* FD DEVICE [rw|r|w][,nb][,exec] */
    { "close", do_close },              /* FD */
    { "dup", do_dup },                  /* FD NEW */
    { "pipe", do_pipe },                /* FD-TO-READ FD-TO-WRITE */
    { "read", do_read_write },          /* FD SIZE [ADDRESS] */
    { "write", do_read_write },         /* FD SIZE [ADDRESS] */
    { "seek", do_seek },                /* FD OFFSET */
    { "poll", do_poll },                /* FD */
    { "ioctl", do_ioctl },              /* FD CMD null|bad|HEX */
    { "alloc", do_alloc },              /* FD X DOM w|r|FLAGS COUNT */
    { "dealloc", do_dealloc },          /* FD INDEX COUNT */
    { "notify", do_notify },            /* FD INDEX ACTION PORT */
    { "mapop", do_mapop },              /* FD X DOM:REF... */
    { "mapop-count", do_mapop },        /* FD X COUNT */
    { "unmapop", do_unmapop },          /* FD INDEX COUNT */
    { "offset", do_offset },            /* FD ADDRESS */
    { "max-grants", do_max_grants },    /* FD COUNT */
    { "copy", do_copy },                /* FD SRC DST LEN ... */
    { "copy-flags", do_copy },          /* FD FLAGS SRC DST LEN ... */
    { 0 },
};
