/* Descriptors 0, 1 and 2 before main(). */
#ifndef POSIX_OPEN_H
#define POSIX_OPEN_H

int open_standard_files(void);  /* 0 or -ENOMEM */

#endif
