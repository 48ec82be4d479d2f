/* SPDX-License-Identifier: MIT */
/* imgcheck IMAGE BLOCKS: is everything there that blkfront wrote? */
#include "sample.h"

int main(int argc, char **argv)
{
    FILE *image = argc == 3 ? fopen(argv[1], "r") : NULL;
    unsigned nr = argc == 3 ? (unsigned)atoi(argv[2]) : 0, lost = 0;
    char block[PAGE], good[PAGE];

    if (!image)
        die("imgcheck IMAGE BLOCKS");
    for (unsigned i = 0; i < nr; i++) {
        memset(good, 'a' + (int)(i % 26), PAGE);
        if (fread(block, PAGE, 1, image) != 1 || memcmp(block, good, PAGE))
            lost++;
    }
    say("%u of %u blocks lost", lost, nr);
    return lost ? 1 : 0;
}
