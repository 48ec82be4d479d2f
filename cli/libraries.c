/* SPDX-License-Identifier: MIT */
/* Finds gntsim's own libraries, and decides whether a program will use them. */
#include "libraries.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "embedded.h"

/* Below the directory of this program: in a build tree, and as installed. */
static const char *const places[] = { "libgnttab", GNTSIM_LIBRARIES_FROM_BIN };

static bool has_them(const char *dir)
{
    char path[PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/libxengnttab.so.1", dir);
    if (access(path, R_OK))
        return false;
    snprintf(path, sizeof path, "%s/libxenevtchn.so.1", dir);
    return !access(path, R_OK);
}

/* The directory that has them: this program's, or else the machine's. False: none. */
static bool find_them(const char *brought, char path[PATH_MAX])
{
    char self[PATH_MAX], dir[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = 0;
    if (strrchr(self, '/'))
        *strrchr(self, '/') = 0;
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(dir, sizeof dir, "%s/%s", self, places[i]);
        if (realpath(dir, path) && has_them(path))
            return true;
    }
    return brought && snprintf(path, PATH_MAX, "%s", brought) < PATH_MAX && has_them(path);
}

/* With the directory before or behind what LD_LIBRARY_PATH has. False: no memory. */
static bool add_to_path(const char *dir, bool before)
{
    const char *old = getenv("LD_LIBRARY_PATH");
    char *value;
    bool added;

    if (!old || !old[0])
        return !setenv("LD_LIBRARY_PATH", dir, 1);
    if (asprintf(&value, "%s:%s", before ? dir : old, before ? old : dir) < 0)
        return false;
    added = !setenv("LD_LIBRARY_PATH", value, 1);
    free(value);
    return added;
}

const char *libraries_problem(void)
{
    char dir[PATH_MAX];

    return embedded_files[0].name || find_them(NULL, dir)
               ? NULL
               : "gntsim's own libxengnttab.so.1 and libxenevtchn.so.1 are not where this program "
                 "looks for them";
}

int libraries_prepend(const char *brought)
{
    char dir[PATH_MAX];

    if (!find_them(brought, dir))
        return failure("gntsim's own libxengnttab.so.1 and libxenevtchn.so.1 are neither in %s nor "
                       "in %s, from where this program is: install gntsim, or build all of it",
                       places[0], places[1]);
    return add_to_path(dir, true) ? 0 : failure("no memory");
}

/* A program without the sanitizer of its libraries would not start. */
static bool have_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

bool libraries_offer(const char *brought)
{
    char dir[PATH_MAX];

    return !have_sanitizer() && find_them(brought, dir) && add_to_path(dir, false);
}

/* ---- Programs that cannot use them ----------------------------------------------------------- */

/* Opens what execvp would execute. */
static int open_program(const char *program)
{
    const char *at = getenv("PATH");
    char path[PATH_MAX];
    int fd = -1;

    if (strchr(program, '/'))
        return open(program, O_RDONLY | O_CLOEXEC);
    while (at && *at && fd < 0) {
        size_t length = strcspn(at, ":");

        if (snprintf(path, sizeof path, "%.*s/%s", (int)length, at, program) < (int)sizeof path &&
            !access(path, X_OK))
            fd = open(path, O_RDONLY | O_CLOEXEC);
        at += length + (at[length] == ':');
    }
    return fd;
}

bool libraries_are_of_another_size(const char *program)
{
    unsigned char ident[EI_NIDENT];
    int fd = open_program(program);
    bool other = false;

    if (fd < 0)
        return false;
    if (pread(fd, ident, sizeof ident, 0) == sizeof ident && !memcmp(ident, ELFMAG, SELFMAG))
        other = ident[EI_CLASS] == ELFCLASS32;
    close(fd);
    return other;
}

static bool has_interpreter(const unsigned char *image, size_t size)
{
    Elf64_Ehdr header;

    memcpy(&header, image, sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        uint64_t at = header.e_phoff + (uint64_t)i * header.e_phentsize;
        Elf64_Phdr segment;

        if (header.e_phoff > size || at > size || size - at < sizeof segment)
            break;
        memcpy(&segment, image + at, sizeof segment);
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

static void look_at_image(const char *program, const unsigned char *image, size_t size)
{
    static const char remedy[] =
        "it needs the device files: run it where `gntsim doctor` finds nothing missing";

    if (size < sizeof(Elf64_Ehdr) || memcmp(image, ELFMAG, SELFMAG) ||
        image[EI_CLASS] != ELFCLASS64)
        return;                  /* a script: what it starts is not known yet */
    if (!has_interpreter(image, size))
        fprintf(stderr, "gntsim: warning: %s is statically linked. If it uses Xen's devices %s.\n",
                program, remedy);
    else if (memmem(image, size, "/dev/xen/gnt", 12) ||
             memmem(image, size, "/dev/xen/evtchn", 15) ||
             memmem(image, size, "/dev/xen/privcmd", 16))
        fprintf(stderr,
                "gntsim: warning: %s names files in /dev/xen. If it opens them itself, not through "
                "libxengnttab or libxenevtchn, %s.\n",
                program, remedy);
}

void libraries_look_at(const char *program)
{
    int fd = open_program(program);
    struct stat st;
    void *image;

    if (fd < 0)
        return;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size) {
        if (st.st_mode & (S_ISUID | S_ISGID))
            fprintf(stderr,
                    "gntsim: warning: %s is set-user-ID or set-group-ID: the loader does not let "
                    "it use gntsim's libraries.\n",
                    program);
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image != MAP_FAILED && image) {
            look_at_image(program, image, (size_t)st.st_size);
            munmap(image, (size_t)st.st_size);
        }
    }
    close(fd);
}
