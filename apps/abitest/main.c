/* The programs of tests/abi in one image: the first argument says which of them to be. */
#include <stdio.h>
#include <string.h>

int abitest_tree_pages(void), abitest_serve(void);
int abitest_threads(void), abitest_cancel(void), abitest_pipes(void), abitest_readiness(void),
	abitest_sockets(void), abitest_memory(void), abitest_stdio(void), abitest_clocks(void),
	abitest_signals(void), abitest_missing(void), abitest_disk(void), abitest_tree(void),
	abitest_tree_random(void), abitest_locks(void), abitest_inotify(void), abitest_proc(void),
	abitest_devices(void), abitest_fifos(void), abitest_permissions(void), abitest_limits(void),
	abitest_mounts(void), abitest_unix_sockets(void), abitest_file_errors(void),
	abitest_tree_threads(void);

static const struct {
	const char *name;
	int (*main)(void);
} programs[] = {
	{ "tree_pages", abitest_tree_pages },
	{ "serve", abitest_serve },
	{ "threads", abitest_threads }, { "cancel", abitest_cancel }, { "pipes", abitest_pipes },
	{ "readiness", abitest_readiness }, { "sockets", abitest_sockets },
	{ "memory", abitest_memory }, { "stdio", abitest_stdio }, { "clocks", abitest_clocks },
	{ "signals", abitest_signals }, { "missing", abitest_missing }, { "disk", abitest_disk },
	{ "tree", abitest_tree }, { "tree_random", abitest_tree_random },
	{ "locks", abitest_locks }, { "inotify", abitest_inotify }, { "proc", abitest_proc },
	{ "devices", abitest_devices }, { "fifos", abitest_fifos },
	{ "permissions", abitest_permissions }, { "limits", abitest_limits },
	{ "mounts", abitest_mounts }, { "unix_sockets", abitest_unix_sockets },
	{ "file_errors", abitest_file_errors }, { "tree_threads", abitest_tree_threads },
};

int main(int argc, char **argv)
{
	printf("OUTPUT BEGINS\n");
	fflush(stdout);
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!strcmp(argv[1], programs[i].name))
			return programs[i].main();
	fprintf(stderr, "usage: abitest PROGRAM\n");
	return 2;
}
