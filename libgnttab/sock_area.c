/* SPDX-License-Identifier: MIT */
/* Places mappings of a machine's memory, and finds them again in /proc/self/maps. */
#include "sock_area_i.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handle_i.h"
#include "sock_client_i.h"

/* Linux 6.11's way to ask for one line of /proc/self/maps. Not in Debian 12's headers. */
struct procmap_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)
#define PROCMAP_QUERY_COVERING_OR_NEXT_VMA 0x10
static_assert(sizeof(struct procmap_query) == 104, "the kernel's");

/* A link's name is its number, device, offset and number of pages: …/maps/17.gntdev.4096.1 */
static bool parse_name(const char *name, struct sock_area *area)
{
    const char *slash = name[0] == '/' ? strrchr(name, '/') : NULL;
    char *end;

    if (!slash)
        return false;
    area->id = strtoull(slash + 1, &end, 10);
    if (end == slash + 1 || *end != '.')
        return false;
    area->is_gntdev = !strncmp(end, ".gntdev.", 8);
    if (!area->is_gntdev && strncmp(end, ".gntalloc.", 10))
        return false;
    area->offset = strtoull(strchr(end + 1, '.') + 1, &end, 10);
    if (*end != '.')
        return false;
    area->count = (uint32_t)strtoul(end + 1, &end, 10);
    return !*end || *end == ' ';
}

/* As find_vma in the text, for older kernels. */
static bool find_in_text(uint64_t addr, struct sock_area *area)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;

    while (maps && getline(&line, &size, maps) > 0) {
        uint64_t offset;
        int name = 0;

        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*u %n", &area->start,
                   &area->end, &offset, &name) != 3 ||
            area->end <= addr)
            continue;
        area->page = offset >> GNT_PAGE_SHIFT;
        found = name && parse_name(line + name, area);
        break;
    }
    free(line);
    if (maps)
        fclose(maps);
    return found;
}

static int ask(struct sock_client *client, struct procmap_query *query)
{
    int rc = ioctl(client->maps.fd, PROCMAP_QUERY, query);

    return rc && sock_client_maps_again(client) ? ioctl(client->maps.fd, PROCMAP_QUERY, query) : rc;
}

bool sock_area_find(struct sock_client *client, uint64_t addr, struct sock_area *area)
{
    char name[256] = "";        /* valgrind does not know that the query fills it */
    struct procmap_query query = {
        .size = sizeof query, .query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA, .query_addr = addr,
        .vma_name_size = sizeof name, .vma_name_addr = (uintptr_t)name
    };

    if (sock_client_maps(client) < 0)
        return false;
    if (ask(client, &query))
        return errno == ENOTTY && find_in_text(addr, area);
    area->start = query.vma_start;
    area->end = query.vma_end;
    area->page = query.vma_offset >> GNT_PAGE_SHIFT;
    return query.vma_name_size && parse_name(name, area);
}

static void *place_runs(const struct sock_answer *answer, size_t length)
{
    const struct sock_reply *reply = answer->reply;
    void *best = (void *)(uintptr_t)(SOCK_PLACES + ((uint64_t)reply->place << GNT_PAGE_SHIFT));
    size_t done = 0;
    char *area;

    if (reply->nr_runs == 1)
        return mmap(best, length, (int)reply->map_prot, MAP_SHARED | SOCK_MMAP_FLAG, answer->fd,
                    (off_t)(answer->runs[0].page << GNT_PAGE_SHIFT));
    area = mmap(best, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return area;
    for (uint32_t i = 0; i < reply->nr_runs; i++) {
        size_t size = answer->runs[i].nr << GNT_PAGE_SHIFT;

        if (size > length - done)
            size = length - done;
        if (mmap(area + done, size, (int)reply->map_prot, MAP_SHARED | MAP_FIXED | SOCK_MMAP_FLAG,
                 answer->fd, (off_t)(answer->runs[i].page << GNT_PAGE_SHIFT)) == MAP_FAILED) {
            int saved_errno = errno;

            munmap(area, length);
            errno = saved_errno;
            return MAP_FAILED;
        }
        done += size;
    }
    return area;
}

void *sock_area_place(const struct sock_answer *answer, size_t length)
{
    void *area;

    length = (length + GNT_PAGE_SIZE - 1) & ~(size_t)(GNT_PAGE_SIZE - 1);
    area = place_runs(answer, length);
    if (area != MAP_FAILED && answer->reply->map_flags & SOCK_MAP_DONT_COPY)
        madvise(area, length, MADV_DONTFORK);
    if (answer->fd >= 0) {
        int saved_errno = errno;

        close(answer->fd);
        errno = saved_errno;
    }
    return area;
}
