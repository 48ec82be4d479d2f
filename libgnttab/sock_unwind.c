/* SPDX-License-Identifier: MIT */
/*
 * Looks whether the C library's unwinder may walk this process's stacks. It believes what the files
 * say about their call frames, and ends the process if that is broken.
 */
#include "sock_says_i.h"

#include <link.h>
#include <stdatomic.h>
#include <string.h>

/* How .eh_frame_hdr says where .eh_frame is, and its table: what all linkers write. */
#define POINTER_HERE 0x1b   /* 4 bytes, from where they stand */
#define COUNT_PLAIN  0x03   /* 4 bytes */
#define TABLE_HERE   0x3b   /* 4 bytes each, from the header */

struct header {
    uint8_t version, frame, count, table;
    int32_t to_frame;
    uint32_t nr;
    struct {
        int32_t function, entry;
    } entries[];
};

/* Bytes of a file that are in memory. */
struct bytes {
    const char *start, *end;
};

struct look {
    unsigned long long adds, subs; /* of the loader: files that came and went, ever */
    bool known, safe;
};

static uint32_t word(const char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* The loaded part of a file that holds an address. */
static struct bytes part_of(const struct dl_phdr_info *info, const char *at)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        const char *start = (const char *)(info->dlpi_addr + part->p_vaddr);

        if (part->p_type == PT_LOAD && at >= start && (size_t)(at - start) < part->p_memsz)
            return (struct bytes){ start, start + part->p_memsz };
    }
    return (struct bytes){ NULL, NULL };
}

/* Whether what is behind the length of an entry may describe functions of one kind. */
static bool is_common(const char *at, uint32_t size)
{
    uint32_t i = 5;

    if (size < 9 || word(at) || (at[4] != 1 && at[4] != 3))
        return false;
    while (i < size && at[i] && strchr("zRPLSBG", at[i]))
        i++;
    return i < size && !at[i];
}

/* Whether .eh_frame, from start on, is a list of entries. */
static bool is_list(const char *start, const char *end)
{
    for (const char *at = start; end - at >= 4;) {
        uint32_t size = word(at), back;

        if (!size)
            return true;
        if (size < 4 || size > (size_t)(end - at - 4))
            return false;
        back = word(at + 4);
        if (!back) {
            if (!is_common(at + 4, size))
                return false;
        } else {
            const char *common = at + 4 - back;

            if (back > (size_t)(at - start) + 4 || common + 8 > end ||
                !is_common(common + 4, word(common)))
                return false;
        }
        at += 4 + size;
    }
    return true;
}

static bool is_good(const struct dl_phdr_info *info, const ElfW(Phdr) *part)
{
    const struct header *header = (const void *)(info->dlpi_addr + part->p_vaddr);
    struct bytes bytes;
    const char *frame;

    if (part->p_memsz < sizeof *header || header->version != 1 || header->frame != POINTER_HERE)
        return false;
    frame = (const char *)&header->to_frame + header->to_frame;
    bytes = part_of(info, frame);
    if (!bytes.start || !is_list(frame, bytes.end))
        return false;
    if (header->count != COUNT_PLAIN || header->table != TABLE_HERE)
        return true;
    if (header->nr > (part->p_memsz - sizeof *header) / sizeof *header->entries)
        return false;
    for (uint32_t i = 0; i < header->nr; i++) {
        const char *entry = (const char *)header + header->entries[i].entry;

        if (entry < frame || entry + 8 > bytes.end)
            return false;
    }
    return true;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct look *look = ctx;

    (void)size;
    if (look->known && look->adds == info->dlpi_adds && look->subs == info->dlpi_subs)
        return 1;
    look->known = false;
    look->adds = info->dlpi_adds;
    look->subs = info->dlpi_subs;
    for (unsigned i = 0; look->safe && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            look->safe = is_good(info, &info->dlpi_phdr[i]);
    return 0;
}

bool sock_unwind_is_safe(void)
{
    /* Of the files that were looked at; adds is written last. */
    static atomic_ullong adds, subs;
    static atomic_bool safe;
    struct look look = { .adds = atomic_load(&adds), .subs = atomic_load(&subs), .known = true };

    look.safe = true;
    if (look.adds && dl_iterate_phdr(look_at, &look))
        return atomic_load(&safe);
    look = (struct look){ .safe = true };
    dl_iterate_phdr(look_at, &look);
    atomic_store(&safe, look.safe);
    atomic_store(&subs, look.subs);
    atomic_store(&adds, look.adds);
    return look.safe;
}
