/*
 * /proc: formats that a parser meets, links that lead somewhere, and what is not there. Runs in an
 * empty folder of a tmpfs, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[65536];

static const char *file(const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (fd < 0)
		printf("%s: %s\n", path, errno_name(errno));
	else
		close(fd);
	return text;
}

static long long number_after(const char *word)
{
	const char *at = strstr(text, word);

	return at ? atoll(at + strlen(word)) : -1;
}

static void machine(void)
{
	double up, idle, load[3];
	int running, threads, last;
	long long total;

	file("/proc/meminfo");
	total = number_after("MemTotal:");
	YES("some memory is free, not all",
	    number_after("MemFree:") > 0 && number_after("MemFree:") < total);
	YES("some is available", number_after("MemAvailable:") > 0 && strstr(text, " kB\n"));
	YES("uptime has two numbers",
	    sscanf(file("/proc/uptime"), "%lf %lf\n", &up, &idle) == 2 && up > 0 && idle >= 0);
	YES("the load has three averages, and who runs",
	    sscanf(file("/proc/loadavg"), "%lf %lf %lf %d/%d %d\n", &load[0], &load[1], &load[2],
		   &running, &threads, &last) == 6 &&
		    load[0] >= 0 && running >= 1 && threads >= running);
	YES("stat begins with all processors",
	    !strncmp(file("/proc/stat"), "cpu  ", 5) && strstr(text, "\ncpu0 "));
	YES("it has switches and a time of boot",
	    number_after("\nctxt ") > 0 && number_after("\nbtime ") >= 0);
	YES("somebody runs", number_after("\nprocs_running ") > 0);
	YES("there is a processor 0", strstr(file("/proc/cpuinfo"), "processor\t: 0\n"));
	YES("version has one line", strstr(file("/proc/version"), " version ") &&
					    strchr(text, '\n') == text + strlen(text) - 1);
	YES("tmpfs and proc need no device",
	    strstr(file("/proc/filesystems"), "nodev\ttmpfs\n") && strstr(text, "nodev\tproc\n"));
	YES("cmdline ends with its line",
	    strchr(file("/proc/cmdline"), '\n') == text + strlen(text) - 1);
	YES("partitions have a heading",
	    !strncmp(file("/proc/partitions"), "major minor  #blocks  name\n\n", 28));
}

static void mounts(void)
{
	char at[200], type[100];
	int id, parent, major, minor;

	YES("proc is mounted at /proc", strstr(file("/proc/mounts"), " /proc proc rw,"));
	YES("mountinfo begins with numbers",
	    sscanf(file("/proc/self/mountinfo"), "%d %d %d:%d %199s %99s", &id, &parent, &major,
		   &minor, at, type) == 6);
	YES("and knows proc", strstr(text, " - proc "));
	SHOW(readlink("/proc/mounts", at, sizeof(at)));
}

static void process(void)
{
	char buf[300], self[20];
	long size, there, data;
	int zero, n = (int)readlink("/proc/self", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = 0;
	YES("self is the process", atoi(self) == getpid());
	file("/proc/self/status");
	YES("so says its status",
	    number_after("\nPid:\t") == getpid() && number_after("\nTgid:\t") == getpid());
	YES("with a thread, a user and a mask", number_after("\nThreads:\t") == 1 &&
							strstr(text, "\nUid:\t") &&
							strstr(text, "\nUmask:\t0022\n"));
	YES("maps has a line of the heap or the like",
	    strstr(file("/proc/self/maps"), " rw-p 00000000 00:00 0"));
	YES("statm has seven numbers, some memory is there",
	    sscanf(file("/proc/self/statm"), "%ld %ld %*d %*d %*d %ld %d\n", &size, &there, &data,
		   &zero) == 4 &&
		    size > 0 && there > 0 && data > 0 && !zero);
	YES("comm has one line",
	    strchr(file("/proc/self/comm"), '\n') == text + strlen(text) - 1 && text[0] != '\n');
	file("/proc/self/cmdline");
	YES("cmdline begins with the program",
	    strstr(text, text[0] == '/' ? "proc" : "abitest") != NULL);
	n = (int)readlink("/proc/self/cwd", buf, sizeof(buf) - 1);
	buf[n < 0 ? 0 : n] = 0;
	YES("cwd is the working directory", n > 0 && !strcmp(buf, getcwd(text, sizeof(text))));
	n = (int)readlink("/proc/self/root", buf, sizeof(buf) - 1);
	YES("root is /", n == 1 && buf[0] == '/');
}

static void descriptors(void)
{
	char path[64], buf[300], fresh[] = "now-named";
	struct stat a, b;
	int fd = open("f", O_CREAT | O_RDWR, 0644), again, n, ends[2];
	struct dirent *e;
	int count = 0, dots = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = (int)readlink(path, buf, sizeof(buf) - 1);
	buf[n < 0 ? 0 : n] = 0;
	YES("a descriptor's link ends with its name", n > 2 && !strcmp(buf + n - 2, "/f"));
	SHOW(write(fd, "12345", 5));
	again = open(path, O_RDONLY);
	YES("opened again it has a position of its own", again >= 0 && read(again, buf, 9) == 5);
	SHOW(close(again));
	SHOW(unlink("f"));
	again = open(path, O_RDWR | O_TRUNC);
	YES("and can be opened after its name has gone",
	    again >= 0 && fstat(again, &a) == 0 && a.st_nlink == 0 && a.st_size == 0);
	SHOW(close(again));
	YES("stat follows, lstat does not",
	    !stat(path, &a) && !lstat(path, &b) && S_ISREG(a.st_mode) && S_ISLNK(b.st_mode));
	d = opendir("/proc/self/fd");
	while ((e = readdir(d)))
		e->d_name[0] == '.' ? dots++ : count++;
	closedir(d);
	YES("there are at least the standard ones, this and the folder", count >= 5 && dots == 2);
	SHOW(close(fd));
	SHOW(open(path, O_RDONLY));
	SHOW(open("/proc/self/fd/99999", O_RDONLY));
	SHOW(open("/proc/self/fd/-1", O_RDONLY));
	SHOW(open("/proc/self/fd/x", O_RDONLY));
	fd = open(".", O_TMPFILE | O_RDWR, 0644);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, fresh, AT_SYMLINK_FOLLOW));
	SHOW(close(fd) + unlink(fresh));
	SHOW(pipe(ends));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	n = (int)readlink(path, buf, sizeof(buf) - 1);
	YES("a pipe says what it is", n > 6 && !strncmp(buf, "pipe:[", 6));
	close(ends[0]);
	close(ends[1]);
}

static void positions(void)
{
	char whole[4096], byte;
	int fd = open("/proc/self/status", O_RDONLY), n = 0;
	size_t len;

	snprintf(whole, sizeof(whole), "%s", file("/proc/self/comm"));
	len = strlen(whole);
	close(fd);
	fd = open("/proc/self/comm", O_RDONLY);
	while (read(fd, &byte, 1) == 1 && whole[n] == byte)
		n++;
	YES("byte by byte it is the same", (size_t)n == len);
	SHOW(lseek(fd, 0, SEEK_SET));
	YES("and from any position", pread(fd, &byte, 1, 1) == 1 && byte == whole[1]);
	SHOW(pread(fd, &byte, 1, 1000));
	SHOW(lseek(fd, -1, SEEK_SET));
	close(fd);
}

static void absent(void)
{
	struct stat st;

	SHOW(open("/proc/nothing", O_RDONLY));
	SHOW(open("/proc/self/nothing", O_RDONLY));
	SHOW(open("/proc/4294967", O_RDONLY));
	SHOW(mkdir("/proc/new", 0755));
	SHOW(unlink("/proc/version"));
	SHOW(rename("/proc/version", "/proc/uptime"));
	SHOW(open("/proc/version/x", O_RDONLY));
	SHOW(open("/proc", O_RDWR));
	SHOW(stat("/proc/version", &st));
	printf("mode %o, size %d\n", (unsigned)st.st_mode, (int)st.st_size);
	SHOW(stat("/proc/self/fd", &st));
	printf("mode %o\n", (unsigned)st.st_mode);
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	machine();
	mounts();
	process();
	descriptors();
	positions();
	absent();
	return 0;
}
