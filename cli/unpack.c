/* SPDX-License-Identifier: MIT */
/* Unpacks the libraries that the program has in itself, for as long as its machine lives. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "embedded.h"
#include "libraries.h"
#include "machine.h"
#include "private_dir.h"

static struct private_dir *dir_of(const struct machine *m)
{
    return part_of_machine(m, &libraries_part);
}

static int write_all(int fd, const unsigned char *data, size_t size)
{
    ssize_t n;

    while (size) {
        n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        data += n < 0 ? 0 : n;
        size -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

static int unpack(const struct private_dir *dir, const struct embedded_file *file)
{
    int fd = openat(dir->fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

    if (fd < 0)
        return -errno;
    rc = write_all(fd, file->data, file->size);
    return close(fd) && !rc ? -errno : rc;
}

static int prepare(struct machine *m, int *memory_fd)
{
    struct private_dir *dir = dir_of(m);
    int rc;

    (void)memory_fd;
    rc = private_dir_create_for_libraries(dir);
    if (!rc) {
        for (const struct embedded_file *file = embedded_files; !rc && file->name; file++)
            rc = unpack(dir, file);
        if (rc)
            private_dir_remove(dir);
    }
    if (rc)
        failure("cannot unpack the libraries (GNTSIM_TMPDIR can name a directory for them): %s",
                strerror(-rc));
    return rc;
}

static void destroy(struct machine *m)
{
    private_dir_remove(dir_of(m));
}

static void clear_up(struct machine *m)
{
    (void)m;
    private_dir_sweep();
}

const struct machine_part libraries_part = {
    .machine_size = sizeof(struct private_dir),
    .prepare = prepare,
    .destroy = destroy,
    .clear_up = clear_up,
};

const char *libraries_dir(const struct machine *m)
{
    const struct private_dir *dir = dir_of(m);

    return dir ? dir->path : NULL;
}
