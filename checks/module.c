/* SPDX-License-Identifier: MIT */
/* Opens a mapped file: its call frame information, and where its functions begin. */
#include "module_i.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dwarf.h>

/* Addresses in .eh_frame_hdr's table: 4 bytes each, signed, from the header on. */
#define TABLE_ENCODING (DW_EH_PE_datarel | DW_EH_PE_sdata4)

static bool find_segment(Elf *elf, GElf_Word type, GElf_Phdr *found)
{
    size_t nr;

    if (elf_getphdrnum(elf, &nr))
        return false;
    for (size_t i = 0; i < nr; i++)
        if (gelf_getphdr(elf, (int)i, found) && found->p_type == type)
            return true;
    return false;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* As the header's table for binary search names them. */
static void read_starts(struct module *module)
{
    unsigned char head[12];
    int32_t(*table)[2];
    GElf_Phdr segment;
    uint32_t nr;

    if (!find_segment(module->elf, PT_GNU_EH_FRAME, &segment) ||
        pread(module->fd, head, sizeof head, (off_t)segment.p_offset) != sizeof head ||
        head[0] != 1 || head[1] == DW_EH_PE_omit || head[2] != DW_EH_PE_udata4 ||
        head[3] != TABLE_ENCODING)
        return;
    memcpy(&nr, head + 8, sizeof nr);
    if (nr > segment.p_filesz / sizeof *table)
        return;
    table = malloc(nr * sizeof *table + 1);
    module->starts = malloc(nr * sizeof *module->starts + 1);
    if (table && module->starts &&
        pread(module->fd, table, nr * sizeof *table, (off_t)segment.p_offset + 12) ==
            (ssize_t)(nr * sizeof *table)) {
        for (uint32_t i = 0; i < nr; i++)
            module->starts[i] = segment.p_vaddr + (uint64_t)(int64_t)table[i][0];
        module->nr_starts = nr;
        qsort(module->starts, nr, sizeof *module->starts, by_value);
    }
    free(table);
}

void module_open(struct module *module)
{
    if (module->opened)
        return;
    module->opened = true;
    if (module->fd < 0)
        return;
    elf_version(EV_CURRENT);
    module->elf = elf_begin(module->fd, ELF_C_READ_MMAP, NULL);
    if (!module->elf || elf_kind(module->elf) != ELF_K_ELF)
        return;
    module->eh_cfi = dwarf_getcfi_elf(module->elf);
    module->dwarf = dwarf_begin_elf(module->elf, DWARF_C_READ, NULL);
    if (module->dwarf)
        module->debug_cfi = dwarf_getcfi(module->dwarf);
    read_starts(module);
}

void module_free(struct module *module)
{
    if (module->dwfl)
        dwfl_end(module->dwfl);
    if (module->eh_cfi)
        dwarf_cfi_end(module->eh_cfi);
    if (module->dwarf)
        dwarf_end(module->dwarf);
    if (module->elf)
        elf_end(module->elf);
    if (module->fd >= 0)
        close(module->fd);
    free(module->starts);
    free(module->path);
    free(module);
}

static bool translate(struct module *module, uint64_t from, bool to_vaddr, uint64_t *to)
{
    GElf_Phdr segment;
    size_t nr;

    module_open(module);
    if (!module->elf || elf_getphdrnum(module->elf, &nr))
        return false;
    for (size_t i = 0; i < nr; i++) {
        if (!gelf_getphdr(module->elf, (int)i, &segment) || segment.p_type != PT_LOAD)
            continue;
        if (to_vaddr && from >= segment.p_offset && from - segment.p_offset < segment.p_filesz) {
            *to = from - segment.p_offset + segment.p_vaddr;
            return true;
        }
        if (!to_vaddr && from >= segment.p_vaddr && from - segment.p_vaddr < segment.p_filesz) {
            *to = from - segment.p_vaddr + segment.p_offset;
            return true;
        }
    }
    return false;
}

bool module_vaddr(struct module *module, uint64_t offset, uint64_t *vaddr)
{
    return translate(module, offset, true, vaddr);
}

bool module_offset(struct module *module, uint64_t vaddr, uint64_t *offset)
{
    return translate(module, vaddr, false, offset);
}

uint64_t module_function(const struct module *module, uint64_t vaddr)
{
    size_t low = 0, high = module->nr_starts;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (module->starts[mid] > vaddr)
            high = mid;
        else
            low = mid + 1;
    }
    return low ? module->starts[low - 1] : 0;
}
