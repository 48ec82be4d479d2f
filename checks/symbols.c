/* SPDX-License-Identifier: MIT */
/* Turns addresses into functions, files and lines, with inlined functions, as far as a file's
 * debug information tells. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dwarf.h>

#include "module_i.h"

#define MAX_INLINED 32u

/* ---- Debug information ----------------------------------------------------------------------- */

static int find_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
                    char **file, Elf **elf)
{
    (void)mod;
    (void)userdata;
    (void)name;
    (void)base;
    (void)file;
    (void)elf;
    return -1;
}

/* The file's module of libdwfl, in its own numbering of addresses. */
static Dwfl_Module *symbols_of(struct module *module, uint64_t vaddr)
{
    static const Dwfl_Callbacks callbacks = { .find_elf = find_elf,
                                              .find_debuginfo = dwfl_standard_find_debuginfo };
    int copy;

    if (!module->dwfl_tried) {
        module->dwfl_tried = true;
        copy = module->fd < 0 ? -1 : dup(module->fd);
        module->dwfl = copy < 0 ? NULL : dwfl_begin(&callbacks);
        if (module->dwfl &&
            dwfl_report_elf(module->dwfl, module->path, module->path, copy, 0, true))
            dwfl_report_end(module->dwfl, NULL, NULL);
        else if (copy >= 0)
            close(copy);
    }
    return module->dwfl ? dwfl_addrmodule(module->dwfl, vaddr) : NULL;
}

/* The compilation unit that has code at vaddr. *bias: what libdwfl adds to its addresses. */
static bool find_unit(Dwfl_Module *mod, uint64_t vaddr, Dwarf_Die *unit, Dwarf_Addr *bias)
{
    Dwarf_Die *found = dwfl_module_addrdie(mod, vaddr, bias);

    /* Not every compiler writes the index that this needs. */
    if (!found)
        while ((found = dwfl_module_nextcu(mod, found, bias)) &&
               dwarf_haspc(found, vaddr - *bias) <= 0)
            ;
    if (found)
        *unit = *found;
    return found;
}

/* The functions that hold pc, the outermost first: a function and what is inlined there. */
struct nest {
    Dwarf_Die functions[MAX_INLINED];
    unsigned nr;
};

static void descend(Dwarf_Die *parent, Dwarf_Addr pc, struct nest *nest, unsigned depth)
{
    Dwarf_Die die;

    if (depth > 64 || dwarf_child(parent, &die))
        return;
    do {
        int tag = dwarf_tag(&die);
        bool function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;

        if (function || tag == DW_TAG_lexical_block) {
            if (dwarf_haspc(&die, pc) <= 0)
                continue;
            if (function && nest->nr < MAX_INLINED)
                nest->functions[nest->nr++] = die;
            descend(&die, pc, nest, depth + 1);
            return;
        }
        if (tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
            tag == DW_TAG_module) {
            unsigned before = nest->nr;

            descend(&die, pc, nest, depth + 1);
            if (nest->nr > before)
                return;
        }
    } while (!dwarf_siblingof(&die, &die));
}

/* Where an inlined function is called. */
static void read_call(Dwarf_Die *unit, Dwarf_Die *inlined, const char **file, unsigned *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Files *files;
    Dwarf_Word value;
    size_t nr;

    *file = NULL;
    *line = 0;
    if (dwarf_attr(inlined, DW_AT_call_line, &attribute) && !dwarf_formudata(&attribute, &value))
        *line = (unsigned)value;
    if (dwarf_attr(inlined, DW_AT_call_file, &attribute) && !dwarf_formudata(&attribute, &value) &&
        !dwarf_getsrcfiles(unit, &files, &nr) && value < nr)
        *file = dwarf_filesrc(files, value, NULL, NULL);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

struct telling {
    void (*tell)(void *ctx, const struct frame_text *frame);
    void *ctx;
    struct frame_text frame; /* its strings are others' */
};

static void tell_frame(struct telling *telling, const char *function, const char *file,
                       unsigned line)
{
    telling->frame.function = function;
    telling->frame.file = file;
    telling->frame.line = line;
    telling->tell(telling->ctx, &telling->frame);
}

/* By the file's debug information. False: it has none there. */
static bool tell_lines(Dwfl_Module *mod, uint64_t vaddr, struct telling *telling)
{
    struct nest nest = { .nr = 0 };
    const char *file = NULL;
    Dwarf_Line *found;
    Dwarf_Addr bias;
    Dwarf_Die unit;
    int line = 0;

    if (!find_unit(mod, vaddr, &unit, &bias))
        return false;
    descend(&unit, vaddr - bias, &nest, 0);
    found = dwarf_getsrc_die(&unit, vaddr - bias);
    if (found) {
        file = dwarf_linesrc(found, NULL, NULL);
        dwarf_lineno(found, &line);
    }
    if (!nest.nr)
        return false;
    while (nest.nr--) {
        Dwarf_Die *function = &nest.functions[nest.nr];
        unsigned call_line;

        tell_frame(telling, dwarf_diename(function), file, (unsigned)line);
        if (dwarf_tag(function) != DW_TAG_inlined_subroutine)
            break;
        read_call(&unit, function, &file, &call_line);
        line = (int)call_line;
    }
    return true;
}

void module_read(struct module *module, uint64_t offset, bool is_pc,
                 void (*tell)(void *ctx, const struct frame_text *frame), void *ctx)
{
    const char *slash = strrchr(module->path, '/');
    struct telling telling = { .tell = tell, .ctx = ctx };
    Dwfl_Module *mod = NULL;
    const char *name;
    GElf_Off within;
    uint64_t vaddr;
    GElf_Sym symbol;

    telling.frame.module = (slash ? slash + 1 : module->path);
    telling.frame.offset = offset;
    /* A call returns behind itself, which may be another line, or another function. */
    if (module_vaddr(module, offset, &vaddr))
        mod = symbols_of(module, vaddr -= !is_pc);
    if (mod && tell_lines(mod, vaddr, &telling))
        return;
    name = mod ? dwfl_module_addrinfo(mod, vaddr, &within, &symbol, NULL, NULL, NULL) : NULL;
    tell_frame(&telling, name, NULL, 0);
}
