/* What the system calls itself, for uname() and /proc. */
#ifndef POSIX_INFO_H
#define POSIX_INFO_H

#define SYSTEM_NAME    "Kiln"
#define SYSTEM_RELEASE "6.1.0"
#define SYSTEM_VERSION "#1 appliance"

#endif
