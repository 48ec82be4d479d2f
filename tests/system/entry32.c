/* SPDX-License-Identifier: MIT */
/* entry32: a process makes calls by the entry of 32-bit programs. Prints what an ioctl of a device,
 * mremap, remap_file_pages and MADV_REMOVE answer there. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Numbers of i386. */
enum { IOCTL = 54, MREMAP = 163, MADVISE = 219, REMAP_FILE_PAGES = 257 };

static long call(long nr, long a, long b, long c, long d)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(0L)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

static const char *name(long result)
{
    return result < 0 && result >= -4095 ? strerrorname_np((int)-result) : "ok";
}

int main(void)
{
    int fd = open("/dev/xen/gntdev", O_RDWR);
    char *low = mmap((void *)0x10000000, 8192, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (fd < 0 || low == MAP_FAILED) {
        perror("entry32");
        return 1;
    }
    printf("%s", name(call(IOCTL, fd, 0x184700, (long)low, 0)));
    printf(" %s", name(call(IOCTL, fd, 0x184700, (long)low, 0)));
    printf(" %s", name(call(MREMAP, (long)low, 4096, 8192, MREMAP_MAYMOVE)));
    printf(" %s", name(call(REMAP_FILE_PAGES, (long)low, 4096, 0, 0)));
    printf(" %s\n", name(call(MADVISE, (long)low, 4096, MADV_REMOVE, 0)));
    return 0;
}
