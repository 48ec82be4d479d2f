/* SPDX-License-Identifier: MIT */
/* Checks a request's parts, and gives drivers the caller's memory in it. */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *message_parse(struct message *message, const struct sock_ioctl *ioctl, char *ranges,
                          const char *end)
{
    uint64_t total = 0, last = 0;
    uint32_t nr = ioctl->nr_ranges;

    *message = (struct message){ 0 };
    if (nr > (size_t)(end - ranges) / sizeof(struct sock_range))
        return "more ranges than fit";
    if (ioctl->nr_views >
        ((size_t)(end - ranges) - nr * sizeof(struct sock_range)) / sizeof(struct sock_view))
        return "more views than fit";
    message->ranges = (const struct sock_range *)(const void *)ranges;
    message->nr_ranges = nr;
    message->views =
        (const struct sock_view *)(const void *)(ranges + nr * sizeof(struct sock_range));
    message->nr_views = ioctl->nr_views;
    message->data =
        ranges + nr * sizeof(struct sock_range) + ioctl->nr_views * sizeof(struct sock_view);
    message->starts = malloc((nr + 1) * sizeof *message->starts);
    if (!message->starts)
        return "no memory for its ranges";
    for (uint32_t i = 0; i < nr; i++) {
        const struct sock_range *range = &message->ranges[i];

        if (!range->size || range->addr + range->size < range->addr || (i && range->addr <= last)) {
            message_clear(message);
            return "ranges that overlap or do not ascend";
        }
        last = range->addr + range->size;
        message->starts[i] = total;
        total += range->size;
    }
    if (total != (uint64_t)(end - message->data)) {
        message_clear(message);
        return "ranges that are not its size";
    }
    return NULL;
}

void message_clear(struct message *message)
{
    free(message->starts);
    free(message->writes);
    *message = (struct message){ 0 };
}

/* The bytes at addr, if one range has them all. */
static char *find(const struct message *message, uint64_t addr, size_t size)
{
    uint32_t low = 0, high = message->nr_ranges;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct sock_range *range = &message->ranges[mid];

        if (addr < range->addr)
            high = mid;
        else if (addr - range->addr >= range->size)
            low = mid + 1;
        else
            return size <= range->size - (addr - range->addr)
                     ? message->data + message->starts[mid] + (addr - range->addr)
                     : NULL;
    }
    return NULL;
}

int message_read(struct message *message, void *to, uint64_t addr, size_t size)
{
    const char *from = size ? find(message, addr, size) : NULL;

    if (!size)
        return 0;
    if (!from)
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

const char *message_bytes(const struct message *message, uint64_t addr)
{
    return find(message, addr, 1);
}

static int memory_read(void *ctx, void *to, uint64_t from, size_t size)
{
    return message_read(ctx, to, from, size);
}

static int note_write(struct message *message, uint64_t addr, uint32_t size)
{
    struct sock_range *last = message->nr_writes ? &message->writes[message->nr_writes - 1] : NULL;

    if (last && last->addr + last->size == addr) {
        last->size += size;
        return 0;
    }
    if (last && addr >= last->addr && addr + size <= last->addr + last->size)
        return 0;
    if (message->nr_writes == message->capacity) {
        uint32_t capacity = message->capacity ? message->capacity * 2 : 4;
        struct sock_range *writes = realloc(message->writes, capacity * sizeof *writes);

        if (!writes)
            return -EFAULT;
        message->writes = writes;
        message->capacity = capacity;
    }
    message->writes[message->nr_writes++] = (struct sock_range){ .addr = addr, .size = size };
    return 0;
}

static int memory_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct message *message = ctx;
    char *at = size ? find(message, to, size) : NULL;

    if (!size)
        return 0;
    if (!at || note_write(message, to, (uint32_t)size))
        return -EFAULT;
    memcpy(at, from, size);
    return 0;
}

static struct vma *memory_vma_at(void *ctx, uint64_t addr, uint64_t *page)
{
    const struct message *message = ctx;
    uint32_t low = 0, high = message->nr_views;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct sock_view *view = &message->views[mid];

        if (addr < view->addr)
            high = mid;
        else if (addr - view->addr >= view->size)
            low = mid + 1;
        else
            return message->look_up(message->ctx, view->mapping,
                                    view->page + (addr - view->addr) / HV_PAGE_SIZE, page);
    }
    return NULL;
}

/* find_vma: the library knows its address space itself. */
static const struct user_memory_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .vma_at = memory_vma_at,
};

struct user_memory message_memory(struct message *message)
{
    return (struct user_memory){ &memory_ops, message };
}
